"""The comparison of applications with Ray Serve: which targets are met, by hand. No server runs."""

from __future__ import annotations

import pytest

from benchmarks.apps.report import TARGETS, page

OURS = {
    "tiny_ms": 1.0,
    "rate_16": 1000.0,
    "messages": 5000.0,
    "large_ms": 30.0,
    "up_s": 2.5,
    "memory_mb": 100.0,
    "processes": 4,
    "killed_s": 0.1,
    "zero_s": 0.1,
    "failed": 0,
    "slowest_s": 0.2,
}
RAY = {
    "tiny_ms": 4.0,
    "rate_16": 250.0,
    "messages": 1000.0,
    "large_ms": 90.0,
    "up_s": 27.0,
    "memory_mb": 400.0,
    "processes": 11,
    "killed_s": 13.0,
    "zero_s": 15.0,
    "failed": 0,
    "slowest_s": 4.5,
}


def _marks(ours: dict[str, float], ray: dict[str, float] | None) -> list[str]:
    figures = {"swath": ours} if ray is None else {"swath": ours, "ray": ray}
    rows = page(figures, "# head").splitlines()[4:]
    return [row.split("|")[-2].strip() for row in rows]


def test_figures_at_their_limits_are_met() -> None:
    assert _marks(OURS, RAY) == ["yes"] * 6 + [""] + ["yes"] * 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tiny_ms", 1.01),
        ("rate_16", 999.0),
        ("messages", 4999.0),
        ("large_ms", 30.1),
        ("up_s", 3.0),
        ("memory_mb", 101.0),
        ("killed_s", 1.0),
        ("zero_s", 1.0),
        ("failed", 1),
        ("slowest_s", 0.5),
    ],
)
def test_a_figure_beyond_its_limit_is_not(key: str, value: float) -> None:
    marks = _marks({**OURS, key: value}, RAY)
    missed = [row.key for row, mark in zip(TARGETS, marks, strict=True) if mark == "**no**"]
    assert missed == [key]


def test_without_ray_what_is_a_ratio_is_not_judged() -> None:
    marks = dict(zip((row.key for row in TARGETS), _marks(OURS, None), strict=True))
    assert (marks["tiny_ms"], marks["large_ms"], marks["killed_s"]) == ("", "", "yes")
