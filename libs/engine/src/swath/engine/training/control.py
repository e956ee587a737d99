"""Control of a run from outside, and snapshots for the outside."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
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


class SampleSignals(Protocol):
    """Takes what a run measures of single samples, on the thread of the run. It must not take long."""

    def add(self, split: str, frame_ids: Sequence[int], epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Take what was measured of the frames of one batch.

        Args:
            split: Part of the data that they belong to.
            frame_ids: Their positions in the data set.
            epoch: Epoch, from 0.
            step: Optimizer steps that the run had done after it.
            values: What was measured by name: "loss" of a batch of one frame, "batch_loss" of larger ones, for which
                no frame has a loss of its own.
        """
        ...


class StopRun(Exception):
    """The run was asked to stop."""
