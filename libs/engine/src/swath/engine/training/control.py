"""What may reach into a run from outside, and what a run hands out beside its events."""

from __future__ import annotations

import threading
from typing import Protocol


class Control(Protocol):
    """Asked by a run before each batch and each node, on the thread of the run."""

    def stop_requested(self) -> bool:
        """Whether the run should end now, keeping what it has learnt."""
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
    """Keeps the latest snapshot of a run, so that another process can go on from it."""

    def save(self, snapshot: bytes, events: int) -> None:
        """Keep a snapshot in place of the one before.

        Args:
            snapshot: What `swath.engine.training.run` takes as ``snapshot`` to go on.
            events: How many events the run had emitted when it was taken; all of them are older than it.
        """
        ...


class StopRun(Exception):
    """The run was asked to stop."""
