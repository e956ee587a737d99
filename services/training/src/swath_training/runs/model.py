"""What a run is: its states, and the facts that the store keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from swath.documents import CommandKind, CommandState


class Trainer(IntEnum):
    """Kinds of runs that Train starts; numbers are those of cuvis_ai.v1.TrainerType."""

    STATISTICAL = 1
    GRADIENT = 2
    CALIBRATION = 3


class RunState(StrEnum):
    """State of a run.

    queued -> running -> ending -> complete | cancelled, with stopping between running and ending where a stop was asked
    for; failed, and back to queued, from any of the first three. In `ending` the run's end is on disk, and its session
    is about to be updated.
    """

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDING = "ending"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self in OVER


OVER = frozenset({RunState.COMPLETE, RunState.FAILED, RunState.CANCELLED})
WORKING = frozenset({RunState.RUNNING, RunState.STOPPING})


class RunArtifact(StrEnum):
    """What there is of a run beside its rows, in words for people."""

    SPECIFICATION = "specification"
    PIPELINE = "pipeline"
    WEIGHTS = "weights"


class StopCause(StrEnum):
    """Why a run was asked to stop."""

    CLIENT = "client"
    ABANDONED = "abandoned"
    SESSION_CLOSED = "session_closed"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the store has it.

    Attributes:
        id: UUID text.
        session_id: Session whose pipeline it trains.
        owner: Identity of that session.
        state: Where it is.
        trainer: Its kind.
        arguments_digest: Digest of what Train was called with; equal arguments attach.
        spec_digest: Artifact with the canonical JSON of the trainrun document that it runs.
        pipeline_digest: Pipeline that it started from.
        weights_digest: Weights that it started from, if any.
        device: Torch device that it queues for.
        traceparent: The Train call that started it, in the form of W3C Trace Context; empty where it is not known.
        holder: Replica that holds its lease.
        attempt: Fencing number: what an older attempt sends is refused. 0 before the first.
        token_digest: SHA-256 of the token of the present attempt's worker.
        worker_pid: Process of that worker.
        worker_started: When that process started, so that another one of the same id is not taken for it.
        item_seq: Last item of the present attempt that is on disk.
        position: Position in the undisturbed sequence of the last event in the log.
        last_seq: Last event in the log.
        delivered_seq: Last event that a stream was given, as far as it was written down.
        end_delivered: Whether a stream was given the run's end.
        progressed: Whether the present attempt got further than the ones before.
        attempts_without_progress: Attempts in a row whose worker died without progress.
        stop: Why it was asked to stop, if it was.
        code: Status name of a failed run.
        reason: Machine-readable reason of the failure.
        message: Text of the failure.
        details: Small facts for machines about the failure.
        result_pipeline: Pipeline document after the run.
        result_weights: Weights after the run.
        final: Its last event as a serialized RunEvent, from the end on disk until it is in the log.
        final_response: The same as a serialized TrainResponse, for replicas of the release before.
        line_number: Last log line of its workers.
        line_bytes: Bytes of the lines that are kept.
        metric_rows: Metrics that are kept.
        experiment: What runs that belong together have in common: the session's id by default.
        name: A name for people, empty for none.
        paused: Whether it waits between two steps.
        hyperparameters: Present values of what can be changed while it is under way.
        hash: 24 hexadecimal digits of hyper-parameters, model and data, as of its start or last resume; empty where
            the release before created it.
        hash_base: The same of what no command changes.
        discarded: Artifact with the samples that the train split leaves out.
        step: Optimizer steps done, as far as its log tells.
        epoch: Epoch under way, from 0, as far as its log tells.
        created_at, started_at, finished_at: Unix seconds.
    """

    id: str
    session_id: str
    owner: str
    state: RunState
    trainer: Trainer
    arguments_digest: str
    spec_digest: str
    pipeline_digest: str
    weights_digest: str | None
    device: str
    traceparent: str = ""
    holder: str = ""
    attempt: int = 0
    token_digest: str = ""
    worker_pid: int | None = None
    worker_started: str = ""
    item_seq: int = 0
    position: int = 0
    last_seq: int = 0
    delivered_seq: int = 0
    end_delivered: bool = False
    progressed: bool = False
    attempts_without_progress: int = 0
    stop: StopCause | None = None
    code: str = ""
    reason: str = ""
    message: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    result_pipeline: str | None = None
    result_weights: str | None = None
    final: bytes | None = None
    final_response: bytes | None = None
    line_number: int = 0
    line_bytes: int = 0
    metric_rows: int = 0
    experiment: str = ""
    name: str = ""
    paused: bool = False
    hyperparameters: Mapping[str, float] = field(default_factory=dict)
    hash: str = ""
    hash_base: str = ""
    discarded: str | None = None
    step: int = 0
    epoch: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event in a run's log.

    Attributes:
        seq: Counts from 1 in the run, without gaps.
        payload: A serialized swath.training.v1.RunEvent; empty in a row that the release before wrote.
        response: That row's serialized cuvis_ai.v1.TrainResponse; empty in others.
    """

    seq: int
    payload: bytes
    response: bytes = b""


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """One line that a worker has logged.

    Attributes:
        number: Counts from 1 in the run; numbers that are missing are of lines that were dropped.
        attempt: The attempt whose worker logged it.
        payload: A serialized swath.training.v1.LogLine.
    """

    number: int
    attempt: int
    payload: bytes


class Metric(NamedTuple):
    """One value that a run has measured: a plain tuple, for there are many.

    Attributes:
        name: What was measured, such as "val_loss" or "metrics/iou".
        value: Its value; may be infinite or not a number.
        split: Part of the data that it was measured on: "train", "val" or "test".
        step: Optimizer steps that the run had done.
        epoch: Epoch of the run, from 0.
        seq: Event of the run's log that it came with; 0 until it is in the log.
        ordinal: Counts the metrics of that event, from 0.
    """

    name: str
    value: float
    split: str
    step: int
    epoch: int
    seq: int = 0
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class RunCommand:
    """One command of a run.

    Attributes:
        number: Counts from 1 in the run; 0 for a pause that a resume had asked for.
        id: What its caller tells a repeated call by.
        kind: What is asked.
        arguments: Members by kind; see `RunCommand` in commands.proto.
        by: Identity of who asked.
        state: How far it is.
        step: Optimizer steps done when it took effect; None until then.
        position: Events of the run before that.
        message: Text for people.
        progress: How far it is and what has come of it: members of `CommandProgress` in commands.proto.
        created_at, changed_at: Unix seconds.
    """

    number: int
    id: str
    kind: CommandKind
    arguments: Mapping[str, Any]
    by: str
    state: CommandState = CommandState.ASKED
    step: int | None = None
    position: int | None = None
    message: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    changed_at: float = 0.0


class CheckpointKind(StrEnum):
    """What a checkpoint is for."""

    RESUME = "resume"
    USER = "user"


@dataclass(frozen=True, slots=True)
class RunCheckpoint:
    """A checkpoint of a run.

    Attributes:
        run_id: The run.
        digest: The artifact.
        kind: RESUME for what the next attempt goes on from, USER for one that is kept.
        position: Events of the run before it.
        step, epoch: Where the run was.
        hash: The run's hash then.
        attempt: The attempt that has made it.
        created_at: Unix seconds.
    """

    run_id: str
    digest: str
    kind: CheckpointKind
    position: int
    step: int
    epoch: int
    hash: str
    attempt: int
    created_at: float


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file that a run has written; see `RunFile` in runs.proto."""

    number: int
    kind: str
    digest: str
    rows: int
    first_step: int
    last_step: int
    attempt: int
    created_at: float
