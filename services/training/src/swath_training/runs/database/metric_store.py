"""What runs have measured, as rows: the data of their curves."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import run
from swath_training.runs.database.tables import METRICS
from swath_training.runs.items import Event
from swath_training.runs.model import LoggedEvent, Metric

_PAGE = 1_000
_MAX_SEQ = 2**31 - 1


def keep_metrics(connection: Connection, run_id: str, events: Iterable[tuple[LoggedEvent, Event]]) -> int:
    """Write what events have measured, in the transaction that writes the events; return how many rows that makes.

    What is not a number is written as null, the same in each database. Infinities are written as they are.
    """
    rows = [
        {
            "run_id": run_id,
            "seq": logged.seq,
            "number": number,
            "step": metric.step,
            "epoch": metric.epoch,
            "split": metric.split,
            "name": metric.name,
            "value": None if math.isnan(metric.value) else metric.value,
        }
        for logged, event in events
        for number, metric in enumerate(event.metrics)
    ]
    if rows:
        connection.execute(insert(METRICS), rows)
    return len(rows)


class MetricStore:
    """Reads what runs have measured.

    Args:
        engine: The training service's database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def after(
        self, run_id: str, seq: int, number: int = _MAX_SEQ, *, names: Collection[str] = (), limit: int = _PAGE
    ) -> list[Metric]:
        """Return some of a run's metrics in the order in which they were measured; none at the end.

        Args:
            run_id: The run.
            seq: Metrics of events after this one are wanted,
            number: and those of this one after this number.
            names: Only these; all if empty.
            limit: How many at most.
        """
        m = METRICS.c
        place = tuple_(m.seq, m.number) > tuple_(min(max(seq, 0), _MAX_SEQ), number)
        query = (
            select(m.name, m.value, m.split, m.step, m.epoch, m.seq, m.number)
            .where(m.run_id == run_id, place, *((m.name.in_(names),) if names else ()))
            .order_by(m.seq, m.number)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Metric]:
            return [
                Metric(name, math.nan if value is None else value, *rest)
                for name, value, *rest in connection.execute(query)
            ]

        return await run(self._engine, work)
