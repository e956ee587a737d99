"""Runs as this service sees them, and what it asks of the training service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

CommandState = Literal["asked", "taken", "done", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run.

    Attributes:
        id: Its id.
        experiment: What it belongs to.
        name: A name for people; empty where it has none.
        state: Such as "running" or "complete".
        paused: Whether it waits between two steps.
        hash: 24 hexadecimal digits: hyper-parameters, model, data.
        hyperparameters: Present values of what can be changed.
        step: Optimizer steps done.
        created_at: Unix time in seconds.
        used_at: Unix time in seconds of its end or, while it goes on, of its start.
    """

    id: str
    experiment: str
    name: str = ""
    state: str = "running"
    paused: bool = False
    hash: str = ""
    hyperparameters: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    created_at: float = 0.0
    used_at: float = 0.0

    @property
    def active(self) -> bool:
        """Whether commands reach it."""
        return self.state in ("queued", "running")

    @property
    def training(self) -> bool:
        """Whether it makes steps now."""
        return self.active and not self.paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameter:
    """What can be changed of a run: its present value and its range."""

    name: str
    value: float
    minimum: float
    exclusive_minimum: bool = False
    maximum: float | None = None
    integer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a run, and what became of it.

    Attributes:
        number: Counts within the run.
        arguments: Depend on its kind.
        step: Steps that the run had done when it took effect.
        done: Batches of an evaluation that are measured.
        total: Batches of an evaluation.
        metrics: What an evaluation has measured, by name.
        cancelled: Whether an evaluation was given up.
    """

    number: int
    kind: str
    state: CommandState
    arguments: Mapping[str, object] = field(default_factory=dict)
    step: int = 0
    message: str = ""
    done: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    cancelled: bool = False
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that a run can go back to."""

    hash: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveSummary:
    """One curve of a run as a whole."""

    name: str
    split: str
    first_step: int
    last_step: int
    count: int
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, ordered by step.

    Attributes:
        steps: Optimizer steps.
        values: What was measured at each.
        last_seq: Event up to which these are all; points of later events are still to be read.
    """

    steps: Sequence[int]
    values: Sequence[float]
    last_seq: int


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file that a run has written, in the artifact store."""

    number: int
    kind: str
    digest: str


class Runs(Protocol):
    """The training service, as the caller of this one may see it.

    Commands are on disk when they return. All raise RunNotFound for a run that there is not, or not for the caller.
    """

    async def list(self, experiment: str = "") -> Sequence[Run]:
        """Return runs, newest first: those of an experiment, or all."""
        ...

    async def describe(self, run: str) -> tuple[Sequence[Hyperparameter], Sequence[str]]:
        """Return what can be changed of a run, and the splits that can be evaluated."""
        ...

    async def pause(self, run: str) -> Command:
        """Have a run wait."""
        ...

    async def resume(self, run: str, steps: int) -> Command:
        """Have a run go on, for so many steps or, with 0, to its end."""
        ...

    async def change(self, run: str, values: Mapping[str, float]) -> Command:
        """Change hyper-parameters; all or none."""
        ...

    async def evaluate(self, run: str, split: str, samples: Sequence[str], batches: int) -> Command:
        """Evaluate a split now, or some samples of it."""
        ...

    async def cancel_evaluation(self, run: str, reason: str) -> Command:
        """Give up the evaluation that is under way."""
        ...

    async def save(self, run: str) -> Command:
        """Keep the run's state as a checkpoint."""
        ...

    async def restore(self, run: str, checkpoint: str) -> Command:
        """Go back to a checkpoint."""
        ...

    async def discard(self, run: str, samples: Sequence[str]) -> Command:
        """Leave samples out of training, in place of those that were left out."""
        ...

    async def commands(self, run: str) -> Sequence[Command]:
        """Return the commands of a run, in their order."""
        ...

    async def checkpoints(self, run: str) -> Sequence[Checkpoint]:
        """Return the checkpoints of a run, oldest first."""
        ...

    async def curves(self, run: str) -> Sequence[CurveSummary]:
        """Say which curves a run has."""
        ...

    async def curve(
        self, run: str, name: str, split: str, *, points: int, steps: tuple[int, int] | None, after: int
    ) -> Curve:
        """Return a curve with at most so many points, or what has come of it after an event."""
        ...

    async def files(self, run: str, after: int) -> Sequence[RunFile]:
        """Return the files that a run has written after one of that number."""
        ...
