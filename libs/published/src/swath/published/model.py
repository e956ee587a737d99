"""A published model, and the port by which services follow what is published.

Standalone fills the port with the authority itself, a suite with a gRPC client. Nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn, Protocol

STABLE = "stable"
"""The alias of calls that name no version; without it they take the newest one."""
EVERYBODY = "*"
"""Stands for all callers."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: Of an input the port's name; of an output `node.port`.
        dtype: Numpy's name of the element type, such as "float32"; "tensor" for a tensor of any type, and "list",
            "dict" or "text" for what is none.
        shape: -1 is any length.
        optional: Whether a call may leave it out.
        description: For people.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What part of its calls an alias sends to a version, in per cent."""

    version: int
    percent: float


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for versions.

    Attributes:
        name: Such as "stable".
        targets: Where it points, in ascending order of versions; the percentages sum up to 100.
        previous: Where it pointed before; empty for nowhere.
    """

    name: str
    targets: tuple[Share, ...]
    previous: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model; it never changes.

    Attributes:
        number: From 1 on; never given twice.
        pipeline_digest: Artifact with the pipeline document.
        weights_digest: Artifact with the weights, if there are some.
        inputs: What it takes.
        outputs: What it gives.
        published_at: Unix time, seconds.
        published_by: Who published it; empty where nobody is asked who calls.
        description: For people.
        plugins: Plugin manifests of the session that it came from, as canonical JSON.
    """

    number: int
    pipeline_digest: str
    weights_digest: str | None = None
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    published_at: float = 0.0
    published_by: str = ""
    description: str = ""
    plugins: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, str | None]:
        """What it is made of: pipeline and weights."""
        return self.pipeline_digest, self.weights_digest


@dataclass(frozen=True, slots=True)
class Model:
    """A published model.

    Attributes:
        name: 1 to 128 letters, digits, dots, dashes and underlines; the first one is a letter or a digit.
        owner: Who published it first; empty where nobody is asked who calls.
        revision: Grows by one with each change.
        versions: In ascending order.
        aliases: By name.
        labels: For people and tools.
        callers: Identities that may call it besides its owner and editors; "*" is everybody, and so is nobody named.
        editors: Identities that may change it besides its owner.
        pinned: Whether replicas of inference load it before they are ready, and keep it.
    """

    name: str
    owner: str = ""
    revision: int = 1
    versions: tuple[ModelVersion, ...] = ()
    aliases: tuple[Alias, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    pinned: bool = False

    def version(self, number: int) -> ModelVersion | None:
        """Return a version by its number, None if there is none."""
        return next((each for each in self.versions if each.number == number), None)

    def alias(self, name: str) -> Alias | None:
        """Return an alias by its name, None if there is none."""
        return next((each for each in self.aliases if each.name == name), None)

    def changeable_by(self, who: str | None) -> bool:
        """Whether an identity may change it; None where nobody is asked who calls, so that everybody may."""
        return who is None or who == self.owner or who in self.editors

    def callable_by(self, who: str | None) -> bool:
        """Whether an identity may call it; None where nobody is asked who calls, so that everybody may."""
        return not self.callers or EVERYBODY in self.callers or self.changeable_by(who) or who in self.callers


class State(Enum):
    """How far a replica of inference is with a version."""

    KNOWN = "known"
    """It is loaded with the first call."""
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What one replica of inference says of one version.

    Attributes:
        replica: A name that no other process has.
        name: Of the model.
        version: Its number.
        state: How far the replica is with it.
        reason: Why it could not be loaded, in words.
        memory_bytes: Bytes that it takes on the device.
    """

    replica: str
    name: str
    version: int
    state: State
    reason: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed in what is published.

    Attributes:
        models: As they are now.
        removed: Names of models that are gone.
        complete: Whether there are no others than `models`.
    """

    models: tuple[Model, ...] = ()
    removed: tuple[str, ...] = ()
    complete: bool = False


class PublishedCatalogue(Protocol):
    """What is published, for who serves it."""

    async def watch(self, told: Callable[[Change], Awaitable[None]]) -> NoReturn:
        """Tell of all models, then of each change, within a second of it, until this is cancelled.

        Args:
            told: Called in turn. A complete change comes first, and again wherever something may have been missed.
                If it raises, a complete one comes again after a pause.
        """
        ...

    async def report(self, replica: str, states: Sequence[ReplicaState], for_s: float) -> None:
        """Take note of all that a replica says, in place of what it has said before.

        Args:
            replica: A name that no other process has.
            states: What it says of versions; each is of this replica.
            for_s: Seconds after which it is forgotten, unless it is said again.

        Raises:
            Unavailable: The catalogue cannot be reached.
        """
        ...
