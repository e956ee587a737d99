"""Columns of samples in a few numbers: bins of what is a number, counts of what is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from swath.samples.query.expressions import Type, type_of
from swath.samples.table import DISCARDED

_MOST_LABELS = 200
REST = "(others)"


@dataclass(frozen=True, slots=True)
class Share:
    """Samples of a bin that have one origin and are discarded, or are not."""

    origin: str
    discarded: bool
    count: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Some samples one after the other: the range and mean of their values; samples without one are not among them."""

    low: float
    high: float
    mean: float
    count: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """Samples that have one label."""

    label: str
    count: int
    shares: tuple[Share, ...]


def is_number(kind: pl.DataType) -> bool:
    """Return whether a column of this type has bins, not bars."""
    return type_of(kind) is Type.NUMBER


def bins(rows: pl.DataFrame, column: str, most: int) -> list[Bin]:
    """Return the values of a column in the order of the rows, cut into at most so many equal slices."""
    slices = min(most, rows.height)
    if not slices:
        return []
    frame = rows.select(
        pl.col(column).cast(pl.Float64).fill_nan(None).alias("value"), "origin", DISCARDED
    ).with_columns((pl.int_range(rows.height) * slices // rows.height).alias("slice"))
    shares = _shares(frame, "slice")
    figures = (
        frame.drop_nulls("value")
        .group_by("slice")
        .agg(
            pl.col("value").min().alias("low"),
            pl.col("value").max().alias("high"),
            pl.col("value").mean().alias("mean"),
            pl.len().alias("count"),
        )
    )
    return [
        Bin(row["low"], row["high"], row["mean"], row["count"], shares[row["slice"]])
        for row in figures.sort("slice").iter_rows(named=True)
    ]


def bars(rows: pl.DataFrame, column: str) -> list[Bar]:
    """Return the labels of a column by their number, the most frequent first; the rarest ones are one bar."""
    frame = rows.select(pl.col(column).cast(pl.String).fill_null("").alias("label"), "origin", DISCARDED)
    counts = frame["label"].value_counts(sort=True)
    kept = counts["label"][: _MOST_LABELS - 1] if counts.height > _MOST_LABELS else counts["label"]
    frame = frame.with_columns(
        pl.when(pl.col("label").is_in(kept.implode())).then(pl.col("label")).otherwise(pl.lit(REST)).alias("label")
    )
    shares = _shares(frame, "label")
    found = [Bar(str(label), sum(each.count for each in of), of) for label, of in shares.items()]
    return sorted(found, key=lambda bar: (bar.label == REST, -bar.count, bar.label))


def _shares(frame: pl.DataFrame, by: str) -> dict[object, tuple[Share, ...]]:
    counted = frame.group_by(by, "origin", DISCARDED).len().sort(by, "origin", DISCARDED)
    found: dict[object, list[Share]] = {}
    for key, origin, discarded, count in counted.iter_rows():
        found.setdefault(key, []).append(Share(origin or "", discarded, count))
    return {key: tuple(each) for key, each in found.items()}


def summary(rows: pl.DataFrame) -> str:
    """Return what a table holds in a few lines for people: a line a column."""
    lines = [f"{rows.height} samples"]
    for name, kind in rows.schema.items():
        column = rows[name]
        if type_of(kind) is Type.NUMBER:
            values = column.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
            if len(values):
                low, middle, high = np.min(values), np.median(values), np.max(values)
                lines.append(f"{name}: {low:g} to {high:g}, median {middle:g}, {rows.height - len(values)} missing")
        elif type_of(kind) is Type.TRUTH:
            lines.append(f"{name}: {int(column.sum())} of {rows.height}")
        else:
            lines.append(f"{name}: {column.n_unique()} different")
    return "\n".join(lines)
