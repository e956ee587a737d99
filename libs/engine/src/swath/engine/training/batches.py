"""Batches of a split on the device of a run, with limits and counts of frames."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import torch

from swath.engine.data import DataModule, Part
from swath.engine.training.distributed.group import ALONE, Group, Share

Batch = dict[str, Any]


class Batches:
    """The batches of a run's data, on its device. Each of several processes has its part of every batch.

    Args:
        data: The splits.
        batch_size: Frames per batch and process.
        device: Where tensors are put.
        group: The processes.
    """

    def __init__(self, data: DataModule, batch_size: int, device: torch.device, group: Group = ALONE) -> None:
        self._data = data
        self._own = batch_size
        self._batch_size = batch_size * group.size
        self._device = device
        self._part: dict[str, Any] = {"part": Part(group.rank, group.size)} if group.size > 1 else {}
        self._before = batch_size * group.rank
        self._group = group
        self._sized: dict[str, Any] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that hold frames."""
        return self._data.splits

    @property
    def resizable(self) -> bool:
        """Whether the data takes another batch size while it is read."""
        return "batch_size" in inspect.signature(self._data.loader).parameters

    def resize(self, batch_size: int) -> None:
        """Have so many frames per batch and process from the next epoch on; only where `resizable`."""
        self._own = batch_size
        self._batch_size = batch_size * self._group.size
        self._before = batch_size * self._group.rank
        self._sized = {"batch_size": batch_size}

    def alone(self) -> Batches:
        """Return the same batches for one process by itself."""
        other = Batches(self._data, self._own, self._device)
        other._sized = self._sized
        return other

    def has(self, split: str) -> bool:
        """Whether a split holds frames."""
        return split in self._data.splits and self._data.frames(split) > 0

    def frames(self, split: str) -> int:
        """Return the number of frames of a split in one epoch."""
        return self._data.frames(split)

    def count(self, split: str, limit: float | None = None) -> int:
        """Return the number of batches of a split in one epoch: all, at most `limit` (int), or a fraction (float)."""
        full = math.ceil(self._data.frames(split) / self._batch_size)
        return limited(full, limit)

    def share(self, split: str, index: int, batch: Batch) -> Share:
        """Return how the frames of a batch are shared, given its number in the epoch and this process's part of it."""
        if not self._part:
            return Share(frames := frames_of(batch), frames)
        every = min(self._batch_size, self._data.frames(split) - index * self._batch_size)
        return Share(min(max(every - self._before, 0), self._own), every)

    def over(self, split: str, *, epoch: int = 0, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """Iterate over the batches of an epoch from number `start` up to, but not including, number `stop`."""
        if stop is not None and start >= stop:
            return
        batches = iter(self._data.loader(split, epoch=epoch, start_batch=start, **self._part, **self._sized))
        # Readers may draw random numbers when they start; those of the run must not depend on where it was resumed.
        with torch.random.fork_rng(devices=[]):
            batch = next(batches, None)
        index = start
        try:
            while batch is not None:
                yield self._move(batch)
                index += 1
                batch = next(batches, None) if stop is None or index < stop else None
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()

    def _move(self, batch: Batch) -> Batch:
        if self._device.type == "cpu":
            return batch
        return {
            key: value.to(self._device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()
        }


def limited(count: int, limit: float | None) -> int:
    """Return how many of `count` batches a limit leaves: an int is a number of batches, a float a fraction."""
    if limit is None:
        return count
    return min(count, limit) if isinstance(limit, int) else int(count * limit)


def frames_of(batch: Batch) -> int:
    """Return the frames of a batch: the first dimension of its first tensor that has any, otherwise 1."""
    for value in batch.values():
        if isinstance(value, torch.Tensor) and value.dim() > 0:
            return int(value.shape[0])
    return 1
