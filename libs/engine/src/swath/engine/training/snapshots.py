"""Snapshots: everything that another process needs to resume a run as if it had not been interrupted.

A snapshot holds no code: ``torch.load(weights_only=True)`` reads it.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch

from swath.engine.training.control import Checkpointer
from swath.engine.training.distributed.group import ALONE, Group
from swath.errors import Precondition, WeightsInvalid

_FORMAT = 1


class Phase(StrEnum):
    """The part of a run that a snapshot was taken in."""

    STATISTICAL = "statistical"
    GRADIENT = "gradient"
    POST_FIT = "post_fit"


@dataclass(frozen=True)
class Snapshot:
    """The state of a run between two of its steps.

    Attributes:
        identity: Digest of what the run computes (`RunSpec.identity`).
        phase: The phase that it was taken in.
        events: Number of events emitted before.
        content: What the phase needs.
    """

    identity: str
    phase: Phase
    events: int
    content: dict[str, Any]

    def dump(self) -> bytes:
        """Return the snapshot as bytes."""
        buffer = io.BytesIO()
        record = {
            "format": _FORMAT,
            "identity": self.identity,
            "phase": str(self.phase),
            "events": self.events,
            "content": self.content,
        }
        torch.save(record, buffer)
        return buffer.getvalue()


def load(data: bytes, identity: str) -> Snapshot:
    """Read a snapshot of the run of that identity.

    Raises:
        WeightsInvalid: It is no snapshot.
        Precondition: It is of a run with another configuration.
    """
    snapshot = _read(data)
    if snapshot.identity != identity:
        raise Precondition("The snapshot belongs to a run with another configuration")
    return snapshot


def content_of(data: bytes) -> dict[str, Any]:
    """Return the content of a snapshot of a gradient phase, of whichever run.

    Raises:
        WeightsInvalid: It is none.
    """
    snapshot = _read(data)
    if snapshot.phase is not Phase.GRADIENT:
        raise WeightsInvalid(f"The snapshot is of the {snapshot.phase} part of a run, expected {Phase.GRADIENT}")
    return snapshot.content


def _read(data: bytes) -> Snapshot:
    try:
        record = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        snapshot = Snapshot(record["identity"], Phase(record["phase"]), int(record["events"]), record["content"])
        known = record["format"] == _FORMAT
    except Exception as error:
        raise WeightsInvalid(f"The run's snapshot cannot be read: {str(error).strip().splitlines()[:1]}") from error
    if not known:
        raise WeightsInvalid(f"The run's snapshot has format {record['format']}, expected {_FORMAT}")
    return snapshot


class SnapshotWriter:
    """Writes snapshots to a `Checkpointer`.

    Args:
        checkpointer: Stores them; without one, only a stopped run has a snapshot.
        identity: `RunSpec.identity`.
        every_s: Longest time between two snapshots, seconds.
        group: The processes of the run: process 0 decides when, and writes them.

    Attributes:
        active: Whether snapshots are written during the run.
        latest: The last snapshot.
    """

    def __init__(self, checkpointer: Checkpointer | None, identity: str, every_s: float, group: Group = ALONE) -> None:
        self._checkpointer = checkpointer
        self._group = group
        self.active = group.broadcast_flag(checkpointer is not None)
        self._identity = identity
        self._every_s = every_s
        self._taken_at = time.monotonic()
        self.latest: bytes | None = None

    @property
    def due(self) -> bool:
        """Whether a snapshot is due: the last one is too old."""
        return self.active and self._group.broadcast_flag(time.monotonic() - self._taken_at >= self._every_s)

    def pack(self, events: int, content: dict[str, Any]) -> bytes | None:
        """Return a snapshot of a gradient phase without writing it; None in other processes than 0."""
        if not self._group.is_leader:
            return None
        return Snapshot(self._identity, Phase.GRADIENT, events, content).dump()

    def write(self, phase: Phase, events: int, content: dict[str, Any]) -> None:
        """Write a snapshot now."""
        if not self._group.is_leader:
            return
        data = Snapshot(self._identity, phase, events, content).dump()
        self._taken_at = time.monotonic()
        self.latest = data
        if self._checkpointer is not None:
            self._checkpointer.save(data, events)
