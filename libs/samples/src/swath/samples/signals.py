"""What a run says of single samples: a segment of rows now and then, written by its worker as Parquet.

A row is one sample at one step; a column is one signal: the loss, a score, the output of a node. What is missing is
null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from swath.samples.manifest import from_parquet, to_parquet

KEYS = ("sample_id", "step", "epoch")


class SegmentWriter:
    """Gathers the signals of one segment in memory; belongs to one thread.

    Appending costs a few microseconds a sample, for a worker's loop does it. Parquet is written by `take`.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._steps: list[int] = []
        self._epochs: list[int] = []
        self._values: dict[str, list[float | None]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, sample_id: str, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Append what was measured of one sample at one step."""
        for name, value in values.items():
            column = self._values.get(name)
            if column is None:
                column = self._values[name] = [None] * len(self._ids)
            column.append(value)
        self._ids.append(sample_id)
        self._steps.append(step)
        self._epochs.append(epoch)
        if len(values) < len(self._values):
            for column in self._values.values():
                if len(column) < len(self._ids):
                    column.append(None)

    @property
    def steps(self) -> tuple[int, int]:
        """First and last step that it has; it is not empty."""
        return min(self._steps), max(self._steps)

    def extend(self, other: SegmentWriter) -> None:
        """Append the rows of another segment."""
        for row, (sample, step, epoch) in enumerate(zip(other._ids, other._steps, other._epochs, strict=True)):
            values = {name: column[row] for name, column in other._values.items()}
            self.add(sample, step, epoch, {name: value for name, value in values.items() if value is not None})

    def take(self) -> bytes:
        """Return what was gathered as Parquet, and begin anew."""
        frame = pl.DataFrame(
            {"sample_id": self._ids, "step": self._steps, "epoch": self._epochs, **self._values},
            schema_overrides=dict.fromkeys(self._values, pl.Float32) | {"step": pl.Int64, "epoch": pl.Int64},
        )
        self.__init__()
        return to_parquet(frame)


def read(data: bytes) -> pl.DataFrame:
    """Return a segment's rows.

    Raises:
        DataInvalid: It is no segment.
    """
    return from_parquet(data, "a segment of signals", KEYS)


def names(segment: pl.DataFrame) -> list[str]:
    """Return the signals of a segment."""
    return [name for name in segment.columns if name not in KEYS]


def trajectories(
    segments: Sequence[pl.DataFrame], signal: str, sample_ids: Sequence[str], max_points: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return how a signal went for some samples: steps and values of each, at most so many, first and last kept.

    Samples that have no value are not there.
    """
    parts = [
        segment.lazy().filter(pl.col("sample_id").is_in(list(sample_ids))).select("sample_id", "step", signal)
        for segment in segments
        if signal in segment.columns
    ]
    if not parts:
        return {}
    rows = pl.concat(parts).drop_nulls().collect().sort("step", maintain_order=True)
    found = {}
    for (name,), group in rows.group_by("sample_id", maintain_order=True):
        steps, values = group["step"].to_numpy(), group[signal].to_numpy()
        if len(steps) > max_points:
            kept = np.unique(np.linspace(0, len(steps) - 1, max_points).round().astype(int))
            steps, values = steps[kept], values[kept]
        found[str(name)] = (steps, values)
    return found


def at_step(segments: Sequence[pl.DataFrame], signal: str, step: int) -> pl.DataFrame:
    """Return the samples of one step with their values of a signal: columns "sample_id" and "value"."""
    parts = [
        segment.filter(pl.col("step") == step).select("sample_id", pl.col(signal).alias("value"))
        for segment in segments
        if signal in segment.columns
    ]
    return (
        pl.concat(parts).drop_nulls() if parts else pl.DataFrame(schema={"sample_id": pl.String, "value": pl.Float32})
    )
