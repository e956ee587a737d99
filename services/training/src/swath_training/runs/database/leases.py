"""Which replica holds which run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import GroupWriter, now, run
from swath_training.runs.database.tables import RUNS, run_of
from swath_training.runs.devices import devices_in
from swath_training.runs.model import OVER, Run, RunState

_r = RUNS.c


class Leases:
    """Takes leases of runs for this replica, renews them, and releases them.

    A lease runs by the database's clock: a holder that is gone or frozen stops renewing it, and another replica takes
    its runs over.

    Args:
        engine: The training service's database.
        writer: Its group writer.
        holder: Name of this replica.
        lease_s: Seconds that a lease lasts without being renewed.
    """

    def __init__(self, engine: AsyncEngine, writer: GroupWriter, holder: str, lease_s: float) -> None:
        self._engine = engine
        self._writer = writer
        self._mine = _r.holder == holder
        self._fresh: dict[str, Any] = {"holder": holder, "held_until": now() + lease_s}

    async def renew(self) -> list[Run]:
        """Renew this replica's leases, also those from before a restart; return the runs as they are now."""
        return await self._take(lambda _: and_(self._mine, _r.state.not_in(OVER)), {})

    async def adopt(self, devices: Collection[str] | None, idle: Collection[str]) -> list[Run]:
        """Take over runs of other replicas: those whose lease has lapsed, and those that wait in a queue there.

        Args:
            devices: This replica's devices: runs whose lease has lapsed are taken for each of them, and any that need
                no device to come to their end. None if it can take any run.
            idle: Devices that have nothing to do: for each the longest waiting run in another replica's queue is taken.
        """
        # A worker of another replica is a process of another machine, or was started before that one restarted.
        forgotten = {"worker_pid": None, "worker_started": ""}

        def wanted(connection: Connection) -> ColumnElement[bool]:
            known = connection.scalars(select(_r.device).where(_r.state.not_in(OVER)).distinct()).all()

            def fit(mine: Collection[str]) -> list[str]:
                return [device for device in known if set(devices_in(device)) <= set(mine)]

            waiting = [self._longest_waiting(connection, device) for device in fit(idle)]
            ending = or_(_r.stop.is_not(None), _r.state == RunState.ENDING)
            fitting = true() if devices is None else or_(_r.device.in_(fit(devices)), ending)
            lapsed = and_(~self._mine, _r.state.not_in(OVER), _r.held_until < now(), fitting)
            return or_(lapsed, _r.id.in_([found for found in waiting if found is not None]))

        return await self._take(wanted, forgotten)

    async def release(self) -> None:
        """Let other replicas take this one's runs over at once."""
        lapse = update(RUNS).where(self._mine, _r.state.not_in(OVER)).values(held_until=0.0)
        await self._writer.write(lambda connection: connection.execute(lapse))

    async def followed(self, run_ids: Sequence[str], window_s: float) -> None:
        """Write that streams at this replica follow runs which others hold, for a time in seconds from now."""
        until = now() + window_s
        note = update(RUNS).where(_r.id.in_(run_ids), _r.followed_until < until).values(followed_until=until)
        await self._writer.write(lambda connection: connection.execute(note))

    async def followed_for(self, run_id: str) -> float:
        """Return for how many seconds more a run counts as followed at other replicas; 0 or less means it is not."""
        query = select(_r.followed_until - now()).where(_r.id == run_id)
        return await run(self._engine, lambda connection: connection.execute(query).scalar() or 0.0)

    def _longest_waiting(self, connection: Connection, device: str) -> str | None:
        # A run that has an event and no attempt waits in a queue: the event reports its position.
        queued = and_(_r.state == RunState.QUEUED, _r.attempt == 0, _r.last_seq > 0)
        query = select(_r.id).where(~self._mine, queued, _r.device == device).order_by(_r.number).limit(1)
        return connection.execute(query).scalar()

    async def _take(self, wanted: Callable[[Connection], ColumnElement[bool]], values: dict[str, Any]) -> list[Run]:
        def work(connection: Connection) -> list[Run]:
            statement = update(RUNS).where(wanted(connection)).values(**self._fresh, **values).returning(RUNS)
            rows = connection.execute(statement).mappings().all()
            return [run_of(row) for row in sorted(rows, key=lambda row: row["number"])]

        return await self._writer.write(work)
