"""What a worker reports and is told, without the wire: swath.training.v1 in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swath_training.runs.model import StopCause, Trainer


@dataclass(frozen=True, slots=True)
class Event:
    """A step of progress: its place in the undisturbed sequence, from 1, and a serialized TrainResponse."""

    position: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot that is safe in the artifact store, and the place of the last event before it."""

    digest: str
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


Body = Event | Checkpoint | Result | Failure | Stopped


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
    """Who dials: run, attempt and the token that proves it. Process 0 of the attempt keeps the link."""

    run_id: str
    attempt: int
    token: str
    pid: int
    process: int = 0


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a worker needs to know; fields as in swath.training.v1.Welcome and Spec.

    `artifacts` and `workspace`, by which it opens storage, are filled in by the link. `session_id` and `traceparent`,
    for logs and traces alone, travel as the link's metadata.
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


Command = Ack | Stop | Release
