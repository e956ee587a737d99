"""Data modules as runs use them: splits by name, batches in a reproducible order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from swath.engine.data.collection import Collection, Sample
from swath.engine.data.loading import Batch, Loader, epoch_batches
from swath.engine.data.params import LoaderParams
from swath.errors import DataInvalid


class Part(NamedTuple):
    """The part of each batch that one of several processes reads: number `rank` of `size` equal parts.

    A batch of all processes has `size` times the frames of the data's `batch_size`. The last batch of an epoch may be
    short: processes without a frame of it read its last frame.
    """

    rank: int = 0
    size: int = 1


WHOLE = Part()
"""The whole batch, for a single process."""


class DataModule(Protocol):
    """Frames in splits, as batches."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that hold frames, of train, val, test and predict."""
        ...

    def frames(self, split: str) -> int:
        """Return how many frames one epoch of a split has.

        Raises:
            DataInvalid: There is no such split; the message lists the splits.
        """
        ...

    def loader(self, split: str, *, epoch: int, start_batch: int = 0, part: Part = WHOLE) -> Iterable[dict[str, Any]]:
        """Return the batches of one epoch, or one process's part of each: dicts of tensors, BHWC.

        The same seed, epoch and data give the same batches; the train split has another order in each epoch, others
        have canonical order. Starting at a later batch gives the same remaining batches, bit by bit.

        Raises:
            DataInvalid: There is no such split, the start is past its end, or a file is invalid.
            FileMissing: A file does not exist any more.
        """
        ...


class FrameModule:
    """A data module over a collection of frames."""

    def __init__(
        self,
        collection: Collection,
        stages: Mapping[str, tuple[Sample, ...]],
        options: LoaderParams,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
    ) -> None:
        self._collection = collection
        self._stages = {name: samples for name, samples in stages.items() if samples}
        self._options = options
        self._batch_size = batch_size
        self._num_workers = num_workers
        self._seed = seed
        self._loaders: dict[str, Loader] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._stages)

    def samples(self, split: str) -> tuple[Sample, ...]:
        """Return the frames of a split in canonical order; raises DataInvalid if there is no such split."""
        if split not in self._stages:
            raise DataInvalid(
                f"the data has no split '{split}'; it has: {', '.join(self._stages) or 'none'}",
                metadata={"split": split, "splits": ",".join(self._stages)},
            )
        return self._stages[split]

    def frames(self, split: str) -> int:
        return len(self.samples(split)) * self._repeats(split)

    def loader(
        self, split: str, *, epoch: int, start_batch: int = 0, part: Part = WHOLE, batch_size: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """As in `DataModule`; `batch_size`: another one than the module's own."""
        size = batch_size or self._batch_size
        batches = epoch_batches(
            len(self.samples(split)),
            size * part.size,
            repeats=self._repeats(split),
            shuffle=(self._seed, epoch) if split == "train" else None,
        )
        if not 0 <= start_batch <= len(batches):
            raise DataInvalid(
                f"split '{split}' has {len(batches)} batches an epoch, so none can start at batch {start_batch}",
                metadata={"split": split},
            )
        first = part.rank * size
        return self._read(split, [batch[first : first + size] or batch[-1:] for batch in batches[start_batch:]])

    def _read(self, split: str, batches: list[Batch]) -> Iterator[dict[str, Any]]:
        """Read batches with the split's loader, or with another where that one is in the middle of an epoch."""
        loader = self._loaders.pop(split, None)
        if loader is None:
            loader = Loader(self.samples(split), self._collection.read, self._options, num_workers=self._num_workers)
        try:
            yield from loader.run(batches)
        finally:
            self._loaders.setdefault(split, loader)

    def _repeats(self, split: str) -> int:
        return self._options.samples_per_frame if split == "train" else 1
