"""Control of a run from outside, and snapshots for the outside."""

from __future__ import annotations

import threading
from typing import Protocol


class Control(Protocol):
    """Asked by a run before each batch and each node, on the thread of the run."""

    def stop_requested(self) -> bool:
        """Whether the run should stop now, keeping what it has learnt."""
        ...


class StopFlag:
    """A `Control` that another thread sets."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def stop(self) -> None:
        """Ask the run to stop at its next batch or node."""
        self._event.set()

    def stop_requested(self) -> bool:
        return self._event.is_set()


class Checkpointer(Protocol):
    """Stores the latest snapshot of a run, from which another process can resume it."""

    def save(self, snapshot: bytes, events: int) -> None:
        """Store a snapshot in place of the last one.

        Args:
            snapshot: What `swath.engine.training.run` takes as ``snapshot`` to resume the run.
            events: Number of events that the run had emitted before.
        """
        ...


class StopRun(Exception):
    """The run was asked to stop."""
