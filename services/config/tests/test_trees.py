"""How the contents of files become one tree."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from swath_config.composition.trees import literal, merge, resolved, wrap


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}),
        ({"a": [1, 2, 3]}, {"a": [4]}),
        ({"a": 1}, {"a": {"b": 2}}),
        ({"a": {"b": 2}}, {"a": 1}),
        ({"a": {"b": 2}}, {"a": None}),
        ({"a": None}, {"a": {"b": 2}}),
        ({"a": 1}, {"a": "???"}),
        ({"a": {"b": 1}}, {"a": "???"}),
        ({}, {"a": "???", "b": ["???"]}),
        ({"a": "???"}, {"a": 1}),
        ({"a": {"b": 1}, "c": "${a}"}, {"c": {"d": 2}}),
        ({"a": "${b}"}, {"a": "${c}"}),
        ({"b": 1, "a": 2}, {"c": 3, "a": 4}),
    ],
)
def test_merging_follows_omegaconf(old: dict[str, Any], new: dict[str, Any]) -> None:
    expected = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(old), OmegaConf.create(new)), resolve=False)
    merged = merge(old, new)

    assert merged == expected
    assert isinstance(expected, dict)
    assert list(merged) == list(expected)


def test_what_a_file_names_twice_is_two_things_after_merging() -> None:
    shared = [1]
    merged = merge({}, {"a": shared, "b": shared})

    merged["a"].append(2)

    assert (merged["b"], shared) == ([1], [1])


def test_packages_nest() -> None:
    assert wrap({"x": 1}, "a.b") == {"a": {"b": {"x": 1}}}
    assert wrap({"x": 1}, "") == wrap({"x": 1}, None) == {"x": 1}


def test_resolving() -> None:
    tree = {"a": 1, "b": ["${a}", "x${a}"], "c": r"\${a}"}

    assert resolved(tree) == {"a": 1, "b": [1, "x1"], "c": "${a}"}
    assert resolved(literal(resolved(tree))) == resolved(tree)


@pytest.mark.parametrize("value", ["???", "${nope}", "${a"])
def test_what_cannot_be_resolved(value: str) -> None:
    with pytest.raises(OmegaConfBaseException):
        resolved({"x": [{"y": value}]})
