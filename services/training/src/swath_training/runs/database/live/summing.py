"""Sums up what runs have measured: parts of curves with the lowest and highest point of many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, run
from swath_training.runs.database.rows import run_row
from swath_training.runs.database.tables import CURVE_PARTS, CURVES, METRICS, RUNS

LEVELS = (32, 1_024, 32_768)
"""Points of a part, by level."""

_ROWS = 50_000

_Key = tuple[str, str]


class _Point(NamedTuple):
    seq: int
    step: int
    value: float | None


class _Page(NamedTuple):
    """Rows of whole events.

    Attributes:
        before: Event up to which all was summed up.
        last: Event up to which these go.
        points: By curve.
        more: Whether there are more.
    """

    before: int
    last: int
    points: dict[_Key, list[_Point]]
    more: bool


async def fold(engine: AsyncEngine, writer: GroupWriter, run_id: str) -> None:
    """Sum up what a run has measured since somebody did.

    Raises:
        RunNotFound: No such run.
    """
    more = True
    while more:
        page = await run(engine, lambda connection: _page(connection, run_id))
        if page is None:
            return
        await writer.write(lambda connection, page=page: _write(connection, run_id, page))
        more = page.more


def _page(connection: Connection, run_id: str) -> _Page | None:
    before = connection.execute(select(RUNS.c.curves_seq).where(RUNS.c.id == run_id)).scalar()
    last = run_row(connection, run_id).last_seq
    if before is None or before >= last:
        return None
    m = METRICS.c
    query = (
        select(m.seq, m.step, m.value, m.name, m.split)
        .where(m.run_id == run_id, m.seq > before, m.seq <= last)
        .order_by(m.seq, m.number)
    )
    rows = connection.execute(query.limit(_ROWS)).all()
    more = len(rows) == _ROWS
    if more:
        # Events are taken whole: the last one may have more rows.
        whole = [row for row in rows if row.seq < rows[-1].seq]
        rows = whole or connection.execute(query.where(m.seq == rows[-1].seq)).all()
        last = rows[-1].seq
    points: dict[_Key, list[_Point]] = {}
    for seq, step, value, name, split in rows:
        points.setdefault((name, split), []).append(_Point(seq, step, value))
    return _Page(before, last, points, more)


def _write(connection: Connection, run_id: str, page: _Page) -> None:
    claimed = connection.execute(
        update(RUNS).where(RUNS.c.id == run_id, RUNS.c.curves_seq == page.before).values(curves_seq=page.last)
    )
    if not claimed.rowcount:
        return  # another reader has done it
    rows = connection.execute(select(CURVES).where(CURVES.c.run_id == run_id)).all()
    numbers = {(row.name, row.split): row.curve for row in rows}
    for name, split in page.points:
        if (name, split) not in numbers:
            numbers[name, split] = len(numbers)
            connection.execute(insert(CURVES).values(run_id=run_id, curve=numbers[name, split], name=name, split=split))
    fresh: list[dict[str, Any]] = []
    for key, points in page.points.items():
        for level, size in enumerate(LEVELS):
            place = {"run_id": run_id, "curve": numbers[key], "level": level}
            former = _last_part(connection, place)
            parts = list(_parts(points, size, former))
            first = former["number"] if former is not None else 0
            if former is not None and former["count"] < size:
                grown = parts.pop(0)
                this = CURVE_PARTS.c.number == former["number"]
                connection.execute(update(CURVE_PARTS).where(*_where(place), this).values(**grown))
            if former is not None:
                first += 1
            fresh += [{**place, "number": number, **part} for number, part in enumerate(parts, start=first)]
    if fresh:
        connection.execute(insert(CURVE_PARTS), fresh)


def _where(place: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(CURVE_PARTS.c[name] == value for name, value in place.items())


def _last_part(connection: Connection, place: dict[str, Any]) -> RowMapping | None:
    query = select(CURVE_PARTS).where(*_where(place)).order_by(CURVE_PARTS.c.number.desc()).limit(1)
    return connection.execute(query).mappings().first()


def _parts(points: list[_Point], size: int, former: RowMapping | None) -> Iterator[dict[str, Any]]:
    """Yield parts of points: first what the last part has become, if it was not full, then new ones."""
    begin = 0
    if former is not None and former["count"] < size:
        begin = size - former["count"]
        yield _grown(former, _part(points[:begin]))
    for start in range(begin, len(points), size):
        yield _part(points[start : start + size])


def _part(points: list[_Point]) -> dict[str, Any]:
    known = [point for point in points if point.value is not None and not math.isnan(point.value)]
    low = min(known, key=lambda point: point.value or 0.0, default=None)
    high = max(known, key=lambda point: point.value or 0.0, default=None)
    return {
        "count": len(points),
        "first_seq": points[0].seq,
        "last_seq": points[-1].seq,
        "first_step": points[0].step,
        "last_step": points[-1].step,
        "low": low.value if low else None,
        "low_step": low.step if low else points[0].step,
        "high": high.value if high else None,
        "high_step": high.step if high else points[0].step,
    }


def _grown(former: RowMapping, part: dict[str, Any]) -> dict[str, Any]:
    """Return what a part becomes with more points; of equal ones the first stays."""
    grown = {**part, "count": former["count"] + part["count"]}
    grown |= {"first_seq": former["first_seq"], "first_step": former["first_step"]}
    if former["low"] is not None and (part["low"] is None or former["low"] <= part["low"]):
        grown |= {"low": former["low"], "low_step": former["low_step"]}
    if former["high"] is not None and (part["high"] is None or former["high"] >= part["high"]):
        grown |= {"high": former["high"], "high_step": former["high_step"]}
    return grown
