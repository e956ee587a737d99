"""How far two outputs are apart, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.parity import exchange
from tools.parity.compare import Difference, difference, judged


def test_numbers_are_relative_to_the_largest_of_the_reference() -> None:
    found = difference(np.array([1.0, 4.5], np.float32), np.array([1.0, 4.0], np.float32))
    assert found.relative == pytest.approx(0.5 / 4.0)
    assert not found.met


def test_what_is_not_finite_in_one_place_only_is_infinitely_far() -> None:
    assert difference(np.array([np.nan, 1.0]), np.array([0.0, 1.0])).relative == np.inf


def test_what_is_not_finite_in_the_same_places_does_not_count() -> None:
    assert difference(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])).met


def test_whole_numbers_that_differ_are_counted() -> None:
    found = difference(np.array([1, 2, 3]), np.array([1, 2, 4]))
    assert (found.unequal, found.compared, found.met) == (1, 3, False)


@pytest.mark.parametrize(
    ("ours", "theirs", "fault"),
    [
        (np.zeros(2), np.zeros(3), "shape [2], theirs [3]"),
        (np.zeros(2, np.float32), np.zeros(2), "float32, theirs float64"),
        ({"a": 1}, {"a": 1, "b": 2}, "b is missing"),
        ([1], [1, 2], "1 items, theirs 2"),
        ("text", 1, "str, theirs int"),
    ],
)
def test_another_form_is_a_fault(ours: object, theirs: object, fault: str) -> None:
    assert difference(ours, theirs).faults == (fault,)


def test_numbers_for_monitors_are_compared_by_name() -> None:
    ours = [{"name": "iou", "value": 0.5}, {"name": "f1", "value": 0.25}]
    assert difference(ours, ours[::-1]).met


def test_float64_judges_where_both_have_rounded() -> None:
    wide, theirs, ours = np.array([1.0]), np.array([1.0 + 4e-5]), np.array([1.0 - 3e-5])
    found = judged(ours, theirs, wide)
    assert found.rounding == (pytest.approx(3e-5), pytest.approx(4e-5))
    assert found.met


def test_float64_does_not_excuse_what_is_further_from_it() -> None:
    assert not judged(np.array([1.0 - 9e-5]), np.array([1.0 + 4e-5]), np.array([1.0])).met


def test_the_larger_of_two_differences_is_kept() -> None:
    joined = Difference(relative=0.1, compared=2, exact=False) | Difference(unequal=1, compared=3)
    assert (joined.relative, joined.unequal, joined.compared, joined.exact) == (0.1, 1, 5, False)


def test_trees_come_back_from_their_files(tmp_path: Path) -> None:
    exchange.write(tmp_path, "tree", {"a": [np.arange(3), None], "b": {"c": 1.5, "d": np.float32(2)}})
    tree = exchange.read(tmp_path, "tree")
    np.testing.assert_array_equal(tree["a"][0], [0, 1, 2])
    assert (tree["a"][1], tree["b"]) == (None, {"c": 1.5, "d": 2.0})
