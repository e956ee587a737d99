"""The order of samples by their columns, compared with Python's own sort."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.samples.ordering import sorted_places

_KINDS: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "floats": (pl.Float64(), st.floats() | st.sampled_from([0.0, -0.0, math.nan])),
    "small floats": (pl.Float32(), st.floats(width=32)),
    "integers": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "bytes": (pl.UInt8(), st.integers(0, 255)),
    "large integers": (pl.UInt64(), st.integers(0, 2**64 - 1)),
    "texts": (pl.String(), st.text(max_size=3)),
    "truths": (pl.Boolean(), st.booleans()),
}


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[pl.Series], list[bool]]:
    rows = draw(st.integers(0, 12))
    columns, descending = [], []
    for _ in range(draw(st.integers(1, 3))):
        kind, values = _KINDS[draw(st.sampled_from(list(_KINDS)))]
        listed = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns.append(pl.Series("column", listed, dtype=kind))
        descending.append(draw(st.booleans()))
    return columns, descending


@settings(deadline=None)
@given(_tables())
def test_rows_come_as_python_sorts_them(table: tuple[list[pl.Series], list[bool]]) -> None:
    columns, descending = table
    expected = list(range(len(columns[0])))
    for column, downwards in zip(reversed(columns), reversed(descending), strict=True):
        values: list[Any] = [None if isinstance(each, float) and math.isnan(each) else each for each in column]
        known = [row for row in expected if values[row] is not None]
        # `reverse` of Python's sort keeps the order of equal values, too. Texts are sorted by their bytes.
        known.sort(
            key=lambda row: values[row].encode() if isinstance(values[row], str) else values[row], reverse=downwards
        )
        expected = known + [row for row in expected if values[row] is None]
    assert sorted_places(columns, descending).tolist() == expected


@pytest.mark.parametrize("kind", [pl.Float64(), pl.Int64(), pl.String(), pl.Boolean(), pl.Null()])
def test_columns_without_any_value_leave_the_order(kind: pl.DataType) -> None:
    assert sorted_places([pl.Series("column", [None] * 3, dtype=kind)], [True]).tolist() == [0, 1, 2]
