"""This replica's charge over runs: kept, lost, and taken over from others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import structlog

from swath.errors import RunNotFound, Unavailable
from swath.storage.notices import Notices
from swath_training.requests import devices
from swath_training.runs import Run
from swath_training.settings import TrainingSettings
from swath_training.store import STOPPED, RunStore
from swath_training.supervisor import Supervisor

_log = structlog.get_logger("swath.training")


class Tenure:
    """Renews charges, and looks for runs that nobody cares for.

    Args:
        settings: Times.
        store: Who has which run.
        supervisor: Drives those of this replica.
        take: Goes on with a run that was taken over.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        supervisor: Supervisor,
        take: Callable[[Run], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._take = take
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up the runs of this replica's life before a restart, then go on in the background."""
        for run in await self._store.charges.renew():
            await self._take(run)
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Renew and take nothing any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def hear(self, notices: Notices) -> None:
        """Pass stops on that were asked for at other replicas, until the notices end."""
        async with aclosing(notices.subscribe(STOPPED)) as arrived:
            async for run_id in arrived:
                # What went unheard, the next round shows.
                if run_id is not None and self._supervisor.holds(run_id):
                    with suppress(RunNotFound, Unavailable):
                        self._supervisor.tell(await self._store.get(run_id))

    async def look(self) -> None:
        """Do one round."""
        before = self._supervisor.runs
        held = await self._store.charges.renew()
        for run in held:
            self._supervisor.tell(run)
        for run_id in before.difference(run.id for run in held):
            if await self._is_lost(run_id):
                self._supervisor.lose(run_id)
        # Known once torch is imported, which the service does while it warms up.
        mine = await asyncio.to_thread(devices)
        for run in await self._store.charges.adopt(mine, self._supervisor.idle(mine)):
            _log.info("a run of another replica is taken over", run=run.id, attempt=run.attempt, state=run.state)
            await self._take(run)

    async def _is_lost(self, run_id: str) -> bool:
        try:
            run = await self._store.get(run_id)
        except RunNotFound:
            return True
        return not (run.state.over or self._store.holds(run))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.look_s)
            try:
                await self.look()
            except Exception as error:
                _log.warning("charges of runs are not renewed for a while", error=str(error))
