"""The figures of both sides as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Target:
    """A row.

    Attributes:
        name: What was measured.
        key: Its figure.
        unit: Of the figure.
        says: The target, as text.
        met: Whether it is, by ours and theirs; the second one is None where Ray was not measured.
    """

    name: str
    key: str
    unit: str
    says: str
    met: Callable[[float, float | None], bool | None]


def _at_most(share: float) -> Callable[[float, float | None], bool | None]:
    return lambda ours, theirs: None if theirs is None else ours <= share * theirs


def _at_least(times: float) -> Callable[[float, float | None], bool | None]:
    return lambda ours, theirs: None if theirs is None else ours >= times * theirs


def _below(limit: float) -> Callable[[float, float | None], bool | None]:
    return lambda ours, theirs: ours < limit or ours == limit == 0


TARGETS = (
    Target("unary tiny call, one at a time: p50", "tiny_ms", "ms", "<= 1/4 of Ray's", _at_most(0.25)),
    Target("unary tiny call, 16 at a time: calls/s", "rate_16", "", ">= 4x Ray's", _at_least(4)),
    Target("one stream: messages/s", "messages", "", ">= 5x Ray's", _at_least(5)),
    Target("10 MB request: p50", "large_ms", "ms", "<= 1/3 of Ray's", _at_most(1 / 3)),
    Target("two applications up, by config file", "up_s", "s", "< 3 s", _below(3)),
    Target("memory of all processes (PSS)", "memory_mb", "MB", "<= 1/4 of Ray's", _at_most(0.25)),
    Target("processes", "processes", "", "", lambda ours, theirs: None),
    Target("replica killed: the next answer", "killed_s", "s", "< 1 s", _below(1)),
    Target("first call from zero replicas", "zero_s", "s", "< 1 s", _below(1)),
    Target("one replica replaced under load: calls that failed", "failed", "", "none", _below(0)),
    Target("one replica replaced under load: the slowest call", "slowest_s", "s", "< 0.5 s", _below(0.5)),
)


def page(figures: Mapping[str, Figures], head: str, notes: str = "") -> str:
    """Return the page.

    Args:
        figures: By side and key.
        head: What figures depend on.
        notes: What a reader must know.
    """
    ours, theirs = figures["swath"], figures.get("ray")
    lines = [head, "", "| measured | Swath | Ray Serve | target | met |", "|---|---|---|---|---|"]
    for row in TARGETS:
        other = None if theirs is None else theirs[row.key]
        met = {True: "yes", False: "**no**", None: ""}[row.met(ours[row.key], other)]
        lines.append(f"| {row.name} | {_shown(ours[row.key], row)} | {_shown(other, row)} | {row.says} | {met} |")
    return "\n".join([*lines, *(["", notes] if notes else [])]) + "\n"


def _shown(value: float | None, row: Target) -> str:
    if value is None:
        return "-"
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {row.unit}".strip()
