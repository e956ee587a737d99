"""Published models as the pipeline service tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: Of an input the port's name; of an output `node.port`.
        dtype: Numpy's name of the element type, such as "float32".
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
        targets: Where it points; the percentages sum up to 100.
        previous: Where it pointed before; empty for nowhere.
    """

    name: str
    targets: tuple[Share, ...]
    previous: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model; it never changes.

    Attributes:
        number: From 1 on.
        pipeline_digest: Artifact with the pipeline document.
        weights_digest: Artifact with the weights, if there are some.
        inputs: What it takes.
        outputs: What it gives.
    """

    number: int
    pipeline_digest: str
    weights_digest: str | None = None
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A published model.

    Attributes:
        name: 1 to 128 letters, digits, dots, dashes and underlines.
        owner: Who published it first; empty where nobody is asked who calls.
        revision: Grows with each change.
        versions: In ascending order.
        aliases: Names for versions.
        labels: For people and tools.
        callers: Who may call it besides its owner and editors; "*" is everybody, and so is nobody named.
        editors: Who may change it besides its owner.
        pinned: Whether replicas load it before they are ready, and keep it.
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


class State(Enum):
    """How far a replica is with a version."""

    KNOWN = "known"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
