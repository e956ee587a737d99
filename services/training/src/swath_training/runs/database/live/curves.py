"""Curves of runs: what was measured, one name and split at a time, with as many points as are wanted.

Rows of `run_metrics` are summed up on the way to who reads them, by whichever replica is asked: what a release before
has written, or another replica, is summed up like all else. Parts of several sizes (`LEVELS`) have the lowest and
highest point of so many neighbours, so that no reader goes through millions of rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import InvalidInput, NotFound
from swath.storage.sql.engine import GroupWriter, run
from swath_training.runs.database.live.summing import LEVELS, fold
from swath_training.runs.database.tables import CURVE_PARTS, CURVES, METRICS

_POINTS = 1_000
_MOST_POINTS = 100_000
# The largest number that the columns of metrics hold.
_MAX = 2**31 - 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """A curve as a whole: fields as in `CurveSummary` in runs.proto; values None where no point is a number."""

    name: str
    split: str
    first_step: int
    last_step: int
    count: int
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve.

    Attributes:
        steps, values: Of each point, in order.
        count: Points that these stand for.
        last_seq: Last event of them.
    """

    steps: Sequence[int] = field(default_factory=list)
    values: Sequence[float] = field(default_factory=list)
    count: int = 0
    last_seq: int = 0


class CurveStore:
    """Reads curves.

    Args:
        engine: The training service's database.
        writer: Its group writer.
    """

    def __init__(self, engine: AsyncEngine, writer: GroupWriter) -> None:
        self._engine = engine
        self._writer = writer

    async def index(self, run_id: str) -> list[CurveSummary]:
        """Return which curves a run has, by name and split."""
        await fold(self._engine, self._writer, run_id)
        p = CURVE_PARTS.c
        query = (
            select(
                CURVES.c.name,
                CURVES.c.split,
                func.min(p.first_step),
                func.max(p.last_step),
                func.sum(p.count),
                func.min(p.low),
                func.max(p.high),
            )
            .join(CURVE_PARTS, (p.run_id == CURVES.c.run_id) & (p.curve == CURVES.c.curve))
            .where(CURVES.c.run_id == run_id, p.level == len(LEVELS) - 1)
            .group_by(CURVES.c.name, CURVES.c.split)
            .order_by(CURVES.c.name, CURVES.c.split)
        )
        return await run(self._engine, lambda connection: [CurveSummary(*row) for row in connection.execute(query)])

    async def read(
        self,
        run_id: str,
        name: str,
        split: str,
        *,
        first_step: int | None = None,
        last_step: int | None = None,
        max_points: int = 0,
        after_seq: int = 0,
    ) -> Curve:
        """Return one curve with at most so many points; of each part of it the lowest and the highest.

        Args:
            run_id: The run.
            name, split: Which curve.
            first_step, last_step: Only points of these steps.
            max_points: 0 for 1,000.
            after_seq: Only points of events after this one.

        Raises:
            NotFound: The run has no such curve; the message has the nearest.
            InvalidInput: The number of points is outside of its range.
        """
        most = max_points or _POINTS
        if not 2 <= most <= _MOST_POINTS:
            raise InvalidInput(f"max_points must be between 2 and {_MOST_POINTS}, or 0 for {_POINTS}; got {max_points}")
        await fold(self._engine, self._writer, run_id)
        first, last = _held(first_step or 0), _held(_MAX if last_step is None else last_step)
        seq = _held(after_seq)
        found = await run(
            self._engine, lambda connection: _read(connection, run_id, (name, split), first, last, seq, most)
        )
        if found is None:
            raise await self._unknown(run_id, name, split)
        return found

    async def _unknown(self, run_id: str, name: str, split: str) -> NotFound:
        query = select(CURVES.c.name, CURVES.c.split).where(CURVES.c.run_id == run_id).order_by(CURVES.c.name)
        known = await run(
            self._engine, lambda connection: [f"{name} ({split})" for name, split in connection.execute(query)]
        )
        near = difflib.get_close_matches(f"{name[:200]} ({split[:16]})", known, 3) or known[:10]
        there = f"the nearest are {', '.join(near)}" if near else "it has measured nothing yet"
        return NotFound(
            f"run {run_id} has no curve '{name[:200]}' of split '{split[:16]}'; {there}", metadata={"run": run_id}
        )


def _held(number: int) -> int:
    return min(max(number, 0), _MAX)


def _read(
    connection: Connection, run_id: str, which: tuple[str, str], first: int, last: int, seq: int, most: int
) -> Curve | None:
    name, split = which
    curve = connection.execute(
        select(CURVES.c.curve).where(CURVES.c.run_id == run_id, CURVES.c.name == name, CURVES.c.split == split)
    ).scalar()
    if curve is None:
        return None
    p = CURVE_PARTS.c
    inside = (p.run_id == run_id, p.curve == curve, p.last_step >= first, p.first_step <= last, p.last_seq > seq)
    begin = end = 0
    for level in reversed(range(len(LEVELS))):
        of_level = (*inside, p.level == level)
        parts, count, begin, end = connection.execute(
            select(func.count(), func.sum(p.count), func.min(p.first_seq), func.max(p.last_seq)).where(*of_level)
        ).one()
        if not parts:
            return Curve(last_seq=seq)
        if 2 * parts >= most and count > most:
            return _from_parts(connection, of_level, first, last, most, int(count), end)
    return _from_rows(connection, run_id, which, (max(begin, seq + 1), end), (first, last), most)


def _from_parts(
    connection: Connection, where: Sequence[object], first: int, last: int, most: int, count: int, end: int
) -> Curve:
    p = CURVE_PARTS.c
    columns = (p.low_step, p.low, p.high_step, p.high)
    rows = connection.execute(select(*columns).where(*where, p.low.is_not(None)).order_by(p.number)).all()  # type: ignore[arg-type]
    if not rows:
        return Curve(count=count, last_seq=end)
    low_steps, lows, high_steps, highs = zip(*rows, strict=True)
    pairs = np.array([low_steps, high_steps], np.int64).T
    order = np.argsort(pairs, axis=1, kind="stable")
    values = np.take_along_axis(np.array([lows, highs], np.float64).T, order, axis=1).ravel()
    steps, values = _extremes(np.take_along_axis(pairs, order, axis=1).ravel(), values, most)
    inside = (steps >= first) & (steps <= last)
    return Curve(steps[inside].tolist(), values[inside].tolist(), count, end)


def _from_rows(
    connection: Connection,
    run_id: str,
    which: tuple[str, str],
    seqs: tuple[int, int],
    steps: tuple[int, int],
    most: int,
) -> Curve:
    m = METRICS.c
    query = (
        select(m.step, m.value)
        .where(
            m.run_id == run_id,
            m.seq.between(*seqs),
            m.name == which[0],
            m.split == which[1],
            m.step.between(*steps),
        )
        .order_by(m.seq, m.number)
    )
    rows = connection.execute(query).all()
    places = np.array([step for step, _ in rows], np.int64)
    values = np.array([np.nan if value is None else value for _, value in rows], np.float64)
    if len(rows) > most:
        known = ~np.isnan(values)
        places, values = _extremes(places[known], values[known], most)
    return Curve(places.tolist(), values.tolist(), len(rows), seqs[1])


def _extremes(steps: Integers, values: Floats, most: int) -> tuple[Integers, Floats]:
    """Return the lowest and highest point of each of `most / 2` equal parts, in their order."""
    if len(values) <= most:
        return steps, values
    kept: set[int] = set()
    for part in np.array_split(np.arange(len(values)), most // 2):
        kept |= {int(part[np.argmin(values[part])]), int(part[np.argmax(values[part])])}
    places = np.array(sorted(kept))
    return steps[places], values[places]
