"""A version of a published model, as the front doors of this replica see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swath.published.model import State, TensorSpec
from swath_inference.dataplane.models import Key


@dataclass(frozen=True, slots=True)
class Published:
    """One version of a published model, which a call is to run on.

    Attributes:
        name: Of the model.
        version: Number of the version.
        versions: All versions of the model, in ascending order.
        key: What it is made of.
        holder: Name under which the model cache keeps it: `model/NAME/VERSION`.
        inputs: What it takes.
        outputs: What it gives.
        labels: Of the model.
        state: How far this replica is with it.
        reason: Why it could not be loaded, in words; empty unless it has failed.
    """

    name: str
    version: int
    versions: tuple[int, ...]
    key: Key
    holder: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: Mapping[str, str]
    state: State = State.KNOWN
    reason: str = ""


def holder_of(name: str, version: int) -> str:
    """Return the name under which the model cache keeps a version."""
    return f"model/{name}/{version}"
