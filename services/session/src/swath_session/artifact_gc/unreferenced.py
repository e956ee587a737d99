"""Artifacts that nothing refers to, since when that is known, and the lease of the replica that looks for them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, now, run
from swath_session.tables import ORPHANS, TURNS

_AT_ONCE = 500
_o, _t = ORPHANS.c, TURNS.c


class UnreferencedArtifacts:
    """Rows of artifacts without a referrer, and the lease of the replica that writes them.

    Args:
        engine: The session service's database.
        part: The part of the store.
        clock: The present, Unix time in seconds, as an expression.

    Attributes:
        alone: Whether no other replica can be there: the database is a file.
    """

    def __init__(
        self, engine: AsyncEngine, part: str = "artifacts", *, clock: ColumnElement[float] | None = None
    ) -> None:
        self.alone = engine.dialect.name == "sqlite"
        self._engine = engine
        self._writer = GroupWriter(engine)
        self._clock = now() if clock is None else clock
        self._part = part
        self._work = f"collection of {part}"
        self._me = secrets.token_hex(16)

    async def close(self) -> None:
        """Wait for writes under way."""
        await self._writer.close()

    async def acquire_lease(self, for_s: float) -> bool:
        """Acquire or renew the lease of a round for some seconds; return whether no other replica has it."""

        def work(connection: Connection) -> bool:
            found = connection.execute(select(_t.holder, _t.until > self._clock).where(_t.work == self._work)).first()
            if found is not None and found[1] and found[0] != self._me:
                return False
            connection.execute(delete(TURNS).where(_t.work == self._work))
            connection.execute(insert(TURNS).values(work=self._work, holder=self._me, until=self._clock + for_s))
            return True

        return await self._writer.write(work)

    async def release_lease(self, pause_s: float) -> None:
        """End the round; the next one, of whichever replica, begins after a pause."""
        end = update(TURNS).where(_t.work == self._work, _t.holder == self._me)
        # Nobody's, so that this replica waits as well.
        await self._writer.write(
            lambda connection: connection.execute(end.values(holder="", until=self._clock + pause_s))
        )

    async def mark(self, unreferenced: AbstractSet[str], grace_s: float) -> list[str]:
        """Record all artifacts that nothing refers to now; return those that were recorded long enough ago.

        Args:
            unreferenced: Their digests. Rows of other artifacts are removed: something refers to them again, or they
                are gone.
            grace_s: Seconds.
        """
        mine = select(_o.digest).where(_o.part == self._part)
        known = set(await run(self._engine, lambda connection: connection.execute(mine).scalars().all()))
        new, gone = sorted(unreferenced - known), sorted(known.difference(unreferenced))
        for part in _parts(new):
            rows = [{"part": self._part, "digest": digest} for digest in part]
            add = insert(ORPHANS).values(since=self._clock)
            await self._writer.write(lambda connection, add=add, rows=rows: connection.execute(add, rows))
        for part in _parts(gone):
            forget = delete(ORPHANS).where(_o.part == self._part, _o.digest.in_(part))
            await self._writer.write(lambda connection, forget=forget: connection.execute(forget))
        return await self.due(grace_s)

    async def due(self, grace_s: float) -> list[str]:
        """Return the artifacts that were recorded so many seconds ago."""
        due = select(_o.digest).where(_o.part == self._part, _o.since <= self._clock - grace_s).order_by(_o.since)
        return list(await run(self._engine, lambda connection: connection.execute(due).scalars().all()))


def _parts(digests: Sequence[str]) -> list[Sequence[str]]:
    return [digests[at : at + _AT_ONCE] for at in range(0, len(digests), _AT_ONCE)]
