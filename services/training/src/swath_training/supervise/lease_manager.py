"""This replica's charge over runs: kept, lost, and taken over from others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import aclosing, suppress

import structlog

from swath.errors import RunNotFound, SwathError
from swath.storage.sql.notifications import Notifications
from swath_training.runs.model import Run
from swath_training.runs.store import STOPPED, RunStore
from swath_training.settings import TrainingSettings
from swath_training.supervise.supervisor import Supervisor

_log = structlog.get_logger("swath.training")


class LeaseManager:
    """Renews charges, and looks for runs that nobody cares for.

    Args:
        settings: Times.
        store: Who has which run.
        supervisor: Drives those of this replica.
        devices: Says what there is for runs here, as a launcher does.
        take: Goes on with a run that was taken over.
        starting: Ids of runs that a call here is about to begin.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        supervisor: Supervisor,
        devices: Callable[[], Collection[str] | None],
        take: Callable[[Run], Awaitable[None]],
        starting: Collection[str],
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._devices = devices
        self._take = take
        self._starting = starting
        self._takes = True
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up the runs of this replica's life before a restart, then go on in the background."""
        await self._take_up(await self._store.leases.renew())
        self._task = asyncio.create_task(self._keep())

    def retire(self) -> None:
        """Take nothing any more; what is held stays held until `stop`."""
        self._takes = False

    async def stop(self) -> None:
        """Renew and take nothing any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def subscribe(self, notifications: Notifications) -> None:
        """Pass stops on that were asked for at other replicas, until the notices end."""
        async with aclosing(notifications.subscribe(STOPPED)) as arrived:
            async for run_id in arrived:
                # What went unheard, the next round shows.
                if run_id is not None and self._supervisor.holds(run_id):
                    with suppress(SwathError):
                        self._supervisor.tell(await self._store.get(run_id))

    async def poll(self) -> None:
        """Do one round."""
        before = self._supervisor.runs
        held = await self._store.leases.renew()
        for run in held:
            self._supervisor.tell(run)
        for run_id in before.difference(run.id for run in held):
            if await self._is_lost(run_id):
                self._supervisor.lose(run_id)
        if not self._takes:
            return
        # Those that a call left behind: it was cancelled, or never learnt what became of its write.
        await self._take_up(run for run in held if run.id not in before)
        # Known once torch is imported, which the service does while it warms up.
        mine = await asyncio.to_thread(self._devices)
        adopted = await self._store.leases.adopt(mine, self._supervisor.idle(mine or ()))
        for run in adopted:
            _log.info("a run of another replica is taken over", run=run.id, attempt=run.attempt, state=run.state)
        await self._take_up(adopted)

    async def _take_up(self, runs: Iterable[Run]) -> None:
        """Go on with runs that this replica holds and does not drive; what cannot be now is left to a later look."""
        for run in runs:
            if self._supervisor.holds(run.id) or run.id in self._starting:
                continue
            try:
                present = await self._store.get(run.id)
                if not present.state.over and self._store.holds(present):
                    await self._take(present)
            except SwathError as error:
                _log.warning("a run is not taken up yet", run=run.id, error=error.message)

    async def _is_lost(self, run_id: str) -> bool:
        try:
            run = await self._store.get(run_id)
        except RunNotFound:
            return True
        return not (run.state.over or self._store.holds(run))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_interval_s)
            try:
                await self.poll()
            except Exception as error:
                _log.warning("charges of runs are not renewed for a while", error=str(error))
