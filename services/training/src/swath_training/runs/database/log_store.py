"""What workers have logged, on disk: one bounded log per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, run
from swath.storage.sql.notifications import notify
from swath_training.runs.database.rows import change, run_row
from swath_training.runs.database.tables import LINES
from swath_training.runs.items import Line
from swath_training.runs.model import LoggedLine

LOGGED = "run.logged"
"""Notifications of this channel hold the id of a run that has new lines."""

ROW_BYTES = 256
"""What a line counts beside its payload: it bounds how many short ones there can be."""

PAGE = 32
"""Lines that are read at a time: as many of the largest ones fit into a message that any gRPC client takes."""

_LARGEST_NUMBER = 2**63 - 1


class LogStore:
    """Keeps the last lines of each run.

    Args:
        engine: The training service's database.
        writer: Its group writer.
        holder: Name of this replica: others write nothing about its runs.
        max_bytes: Bytes of log lines that are kept per run.
    """

    def __init__(self, engine: AsyncEngine, writer: GroupWriter, holder: str, max_bytes: int) -> None:
        self._engine = engine
        self._writer = writer
        self._holder = holder
        self._max_bytes = max_bytes

    async def append(self, run_id: str, attempt: int, lines: Sequence[Line]) -> tuple[int, list[LoggedLine]]:
        """Write lines that are new to a run; where there is no room any more, older ones are removed.

        Lines of an attempt that a newer one has replaced are passed over: nobody waits for them.

        Returns:
            The number of the line before them, and what was written.

        Raises:
            RunNotFound: No such run.
        """

        def work(connection: Connection) -> tuple[int, list[LoggedLine]]:
            run = run_row(connection, run_id)
            if run.holder != self._holder or run.attempt != attempt:
                return run.line_number, []
            number, size = run.line_number, run.line_bytes
            new: list[LoggedLine] = []
            for line in lines:
                if line.number > number:
                    number, size = line.number, size + len(line.payload) + ROW_BYTES
                    new.append(LoggedLine(number, attempt, line.payload))
            if new:
                connection.execute(insert(LINES), [{"run_id": run_id, **asdict(line)} for line in new])
                if size > self._max_bytes:
                    size = self._trim(connection, run_id)
                change(connection, run, line_number=number, line_bytes=size)
                notify(connection, LOGGED, run_id)
            return run.line_number, new

        return await self._writer.write(work)

    def _trim(self, connection: Connection, run_id: str) -> int:
        """Remove a run's oldest lines and return the size of those that are left, one of them at least."""
        # With some room, so that not each line that follows has one removed.
        limit = self._max_bytes * 7 // 8
        left = 0
        newest_first = (
            select(LINES.c.number, func.length(LINES.c.payload))
            .where(LINES.c.run_id == run_id)
            .order_by(LINES.c.number.desc())
        )
        for number, length in connection.execute(newest_first).all():
            if left and left + length + ROW_BYTES > limit:
                connection.execute(delete(LINES).where(LINES.c.run_id == run_id, LINES.c.number <= number))
                break
            left += length + ROW_BYTES
        return left

    async def after(self, run_id: str, number: int) -> list[LoggedLine]:
        """Return some of a run's lines after a number, in order; none at the end."""
        query = (
            select(LINES.c.number, LINES.c.attempt, LINES.c.payload)
            .where(LINES.c.run_id == run_id, LINES.c.number > min(max(number, 0), _LARGEST_NUMBER))
            .order_by(LINES.c.number)
            .limit(PAGE)
        )
        return await run(self._engine, lambda connection: [LoggedLine(*row) for row in connection.execute(query)])
