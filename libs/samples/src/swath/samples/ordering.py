"""Places of samples in the order of their columns: stable, what is missing last.

A million rows by two columns take Polars 0.3 s. Here each column becomes whole numbers of the same order, and those
are sorted 16 bits at a time, from the last column to the first, for which numpy counts instead of comparing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

_DIGIT = 16
_SIGN = np.uint64(1 << 63)


def sorted_places(columns: Sequence[pl.Series], descending: Sequence[bool]) -> np.ndarray:
    """Return the places of rows in the order of some columns, the first one first; equal rows keep their order.

    Args:
        columns: Numbers, texts and truths, one value a row; null and what is not a number come last.
        descending: For each column, whether the largest comes first.
    """
    places = np.arange(len(columns[0]))
    for column, downwards in zip(reversed(columns), reversed(descending), strict=True):
        kept, missing = _keys(column)
        keys = ~kept if downwards else kept
        for shift in range(0, 64, _DIGIT):
            digits = (keys >> np.uint64(shift)).astype(np.uint16)
            if digits.size and digits.min() != digits.max():
                places = places[np.argsort(digits[places], kind="stable")]
        if missing.any():
            last = missing[places]
            places = np.concatenate([places[~last], places[last]])
    return places


def _keys(column: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers, uint64, that are ordered as the values are, and which values are missing."""
    if column.dtype.is_float():
        values = column.cast(pl.Float64).fill_nan(None)
        missing = values.is_null().to_numpy()
        # Minus zero equals zero. The bits of floats are ordered as they are, those of negative ones the other way.
        bits = (values.fill_null(0.0).to_numpy() + 0.0).view(np.uint64)
        return np.where(bits & _SIGN, ~bits, bits | _SIGN), missing
    missing = column.is_null().to_numpy()
    if column.dtype.is_unsigned_integer():
        return column.fill_null(0).cast(pl.UInt64).to_numpy(), missing
    if column.dtype.is_integer() or column.dtype == pl.Boolean:
        return column.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64) ^ _SIGN, missing
    texts = column.cast(pl.String)
    labels = texts.drop_nulls().unique().sort()
    return texts.cast(pl.Enum(labels)).to_physical().fill_null(0).cast(pl.UInt64).to_numpy(), missing
