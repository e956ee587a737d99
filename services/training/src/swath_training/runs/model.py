"""What a run is: its states, and the facts that the store keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Trainer(IntEnum):
    """Phases that Train runs; numbers are those of cuvis_ai.v1.TrainerType."""

    STATISTICAL = 1
    GRADIENT = 2
    CALIBRATION = 3


class RunState(StrEnum):
    """Where a run is in its life.

    queued -> running -> ending -> complete | cancelled, with stopping between running and ending where a stop was asked
    for; failed, and back to queued, from any of the first three. In `ending` the worker's end is on disk and the
    session is about to learn of it.
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
        trainer: Its phase.
        arguments_digest: Digest of what Train was called with; equal arguments attach.
        spec_digest: Artifact with the canonical JSON of the trainrun document that it runs.
        pipeline_digest: Pipeline that it started from.
        weights_digest: Weights that it started from, if any.
        device: Torch device that it queues for.
        traceparent: The Train call that started it, in the form of W3C Trace Context; empty where it is not known.
        holder: Replica that has it in charge.
        attempt: Fencing number: what an older attempt sends is refused. 0 before the first.
        token_digest: SHA-256 of the token of the present attempt's worker.
        worker_pid: Process of that worker.
        worker_started: When that process started, so that another one of the same id is not taken for it.
        item_seq: Last item of the present attempt that is on disk.
        position: Place in the undisturbed sequence of the last event in the log.
        last_seq: Last event in the log.
        delivered_seq: Last event that a stream was given, as far as it was written down.
        end_delivered: Whether a stream was given the run's end.
        progressed: Whether the present attempt got further than the ones before.
        fruitless: Attempts that died in a row without progress.
        stop: Why it was asked to stop, if it was.
        code: Status name of a failed run.
        reason: Machine-readable word of it.
        message: Text of it.
        details: Small facts for machines about it.
        result_pipeline: Pipeline document after the run.
        result_weights: Weights after the run.
        final: Serialized last event, from the end on disk until it is in the log.
        line_number: Last log line of its workers.
        line_bytes: Bytes of the lines that are kept.
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
    fruitless: int = 0
    stop: StopCause | None = None
    code: str = ""
    reason: str = ""
    message: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    result_pipeline: str | None = None
    result_weights: str | None = None
    final: bytes | None = None
    line_number: int = 0
    line_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in a run's log.

    Attributes:
        seq: Counts from 1 in the run, without gaps.
        payload: A serialized cuvis_ai.v1.TrainResponse.
    """

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """One line that a worker has logged.

    Attributes:
        number: Counts from 1 in the run; what is missing was dropped.
        attempt: Whose worker.
        payload: A serialized swath.training.v1.LogLine.
    """

    number: int
    attempt: int
    payload: bytes
