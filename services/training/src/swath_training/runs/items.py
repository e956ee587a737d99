"""What a worker reports and what it is sent, without the wire: swath.training.v1 in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from swath_training.runs.model import CheckpointKind, Metric, RunCommand, StopCause, Trainer


@dataclass(frozen=True, slots=True)
class Event:
    """A step of progress.

    Attributes:
        position: Its position in the undisturbed sequence, from 1; 0 for what the service itself reports.
        payload: A serialized swath.training.v1.RunEvent; empty if it came from a worker of the release before.
        response: The same as a serialized cuvis_ai.v1.TrainResponse, which replicas of the release before read. Workers
            leave it to the service to fill in.
        metrics: What it has measured, filled in by the service too.
        command: The command that it reports on, if it does; step, epoch: where the run was. Filled in likewise.
    """

    position: int
    payload: bytes
    response: bytes = b""
    metrics: tuple[Metric, ...] = ()
    command: RunCommand | None = None
    step: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot that is safe in the artifact store, and the position of the last event before it."""

    digest: str
    position: int
    kind: CheckpointKind = CheckpointKind.RESUME
    step: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A file of the run that is safe in the artifact store.

    Attributes:
        kind: What it holds: "samples" or "signals".
        digest: The artifact.
        rows: Rows of it.
        first_step, last_step: Optimizer steps that it is about.
        position: Counts the files of a kind that an undisturbed run writes, from 1.
    """

    kind: str
    digest: str
    rows: int
    first_step: int
    last_step: int
    position: int


@dataclass(frozen=True, slots=True)
class Result:
    """The run came to its end."""

    weights_digest: str
    pipeline_digest: str
    final: Event


@dataclass(frozen=True, slots=True)
class Failure:
    """The run cannot go on, and another attempt would end the same way."""

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run stopped because it was asked to; after a drain it goes on from its checkpoint later."""

    cause: StopCause
    weights_digest: str | None = None
    pipeline_digest: str | None = None
    final: Event | None = None


Body = Event | Checkpoint | File | Result | Failure | Stopped


@dataclass(frozen=True, slots=True)
class Item:
    """One numbered item of an attempt, from 1."""

    seq: int
    body: Body


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a worker has logged, as a serialized swath.training.v1.LogLine, numbered in the run from 1."""

    number: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """Who connects: run, attempt and the token that proves it. Process 0 of the attempt keeps the link.

    `takes_commands` is whether it knows what to do with commands; one of the release before does not.
    """

    run_id: str
    attempt: int
    token: str
    pid: int
    process: int = 0
    takes_commands: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a worker needs to know; fields as in swath.training.v1.Welcome and Spec.

    `artifacts` and `workspace`, by which it opens storage, are filled in by the link. `session_id` and `traceparent`,
    for logs and traces alone, travel as the link's metadata. `run_events` is whether the service takes events as
    RunEvent, `live_control` whether it takes files and checkpoints of users. `commands` are all of the run so far, and
    `position` is that of the last event in its log.
    """

    trainer: Trainer
    trainrun: bytes
    pipeline_digest: str
    weights_digest: str | None
    checkpoint_digest: str | None
    device: str
    acked_seq: int
    stop: StopCause | None
    logged: int = 0
    run_events: bool = True
    live_control: bool = True
    commands: Sequence[RunCommand] = ()
    position: int = 0
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    workspace: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """Items up to this one are on disk."""

    seq: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Write a checkpoint at the next batch and come to an end."""

    cause: StopCause


@dataclass(frozen=True, slots=True)
class Release:
    """The run's end is on disk; the worker may exit."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Let a command of the run take effect."""

    command: RunCommand


Command = Ack | Stop | Release | Ask


class EventCodec(Protocol):
    """Reads and makes serialized events, which this service's plain Python hands on as they are."""

    def note(self, status: str, message: str) -> Event:
        """Return an event of the service's own.

        Args:
            status: RUNNING, CANCELLED or ERROR.
            message: One line for people.
        """
        ...

    def complete(self, event: Event) -> Event:
        """Return an event of a worker with its metrics, and its form for replicas of the release before."""
        ...
