"""Loading of batches: their order within an epoch, and the processes that read them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from swath.engine.data.collection import Frame, Sample
from swath.engine.data.params import LoaderParams
from swath.errors import DataInvalid, SwathError

Batch = tuple[int, ...]
"""Positions, in their split, of the frames of one batch."""


def epoch_batches(count: int, batch_size: int, *, repeats: int = 1, shuffle: tuple[int, int] | None) -> list[Batch]:
    """Cut one epoch of `count` frames into batches; the last one may be short.

    Args:
        count: Frames of the split.
        batch_size: Frames per batch.
        repeats: How often each frame occurs.
        shuffle: Seed and epoch, which determine the order; None keeps canonical order.
    """
    if shuffle is None:
        order = np.arange(count * repeats)
    else:
        # A seed sequence mixes both numbers well: consecutive epochs are as different as any others.
        state = int(np.random.SeedSequence(shuffle).generate_state(1, np.uint64)[0] >> 1)
        order = torch.randperm(count * repeats, generator=torch.Generator().manual_seed(state)).numpy()
    places = (order % count).tolist()
    return [tuple(places[at : at + batch_size]) for at in range(0, len(places), batch_size)]


class Loader:
    """Reads the batches of one split, in this process or in others."""

    def __init__(
        self,
        samples: Sequence[Sample],
        read: Callable[[Sample], Frame],
        options: LoaderParams,
        *,
        num_workers: int,
    ) -> None:
        self._schedule = _Schedule()
        context = None
        if num_workers:
            context = multiprocessing.get_context(options.worker_multiprocessing_context)
            if options.worker_multiprocessing_context == "forkserver":
                # Otherwise every loader process imports torch (seconds). No effect if the fork server runs already.
                context.set_forkserver_preload(["torch", "swath.engine.data"])
        self._torch = DataLoader(
            _Batches(samples, read),
            batch_size=None,  # one item of the data set is one batch
            sampler=self._schedule,
            collate_fn=_same,
            num_workers=num_workers,
            multiprocessing_context=context,
            persistent_workers=options.persistent_workers and num_workers > 0,
            pin_memory=options.pin_memory and torch.cuda.is_available(),
            # Its own generator, so that reading draws nothing from the random state of the training loop.
            generator=torch.Generator().manual_seed(0),
        )

    def run(self, batches: Sequence[Batch]) -> Iterator[dict[str, Any]]:
        """Read these batches one after the other.

        Raises:
            DataInvalid, FileMissing: A frame cannot be read, in this process or a loader process.
        """
        self._schedule.batches = batches
        for batch in self._torch:
            if isinstance(batch, SwathError):
                raise batch
            yield batch


class _Schedule:
    """The batches of the current epoch, which torch requests at the start of each epoch."""

    def __init__(self) -> None:
        self.batches: Sequence[Batch] = ()

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Batches(Dataset[Any]):
    """Whole batches, by the positions of their frames."""

    def __init__(self, samples: Sequence[Sample], read: Callable[[Sample], Frame]) -> None:
        self._samples = samples
        self._read = read

    def __getitem__(self, places: Batch) -> dict[str, Any] | SwathError:
        samples = [self._samples[place] for place in places]
        try:
            return _collate(samples, [self._read(sample) for sample in samples])
        except SwathError as error:
            # torch re-raises exceptions in the parent by type and one text; a returned value keeps its fields.
            return error


def _same(batch: Any) -> Any:
    return batch


def _collate(samples: Sequence[Sample], frames: Sequence[Frame]) -> dict[str, Any]:
    first = _outline(frames[0])
    for sample, frame in zip(samples[1:], frames[1:], strict=True):
        other = _outline(frame)
        if other != first:
            key = next(key for key in {**first, **other} if first.get(key) != other.get(key))
            raise DataInvalid(
                f"frames of one batch differ in '{key}': {samples[0].uid} has {first.get(key, 'none')}, "
                f"{sample.uid} has {other.get(key, 'none')}; use batch_size 1 or frames of one size",
                metadata={"key": key, "frame": sample.uid},
            )
    return default_collate(list(frames))


def _outline(frame: Frame) -> dict[str, tuple[int, ...]]:
    return {key: np.shape(value) for key, value in frame.items()}
