"""This replica's leases of runs: renewed, lost, and taken over from others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import aclosing, suppress

import structlog

from swath.errors import RunNotFound, SwathError
from swath.storage.sql.notifications import Notifications
from swath_training.runs.database.live.commands import ASKED
from swath_training.runs.database.stops import STOPPED
from swath_training.runs.database.store import RunStore
from swath_training.runs.model import Run
from swath_training.settings import TrainingSettings
from swath_training.supervise.supervisor import Supervisor

_log = structlog.get_logger("swath.training")


class LeaseManager:
    """Renews leases, and looks for runs whose lease has lapsed.

    Args:
        settings: Times.
        store: Which replica holds which run.
        supervisor: Drives those of this replica.
        devices: Returns what there is for runs here, as a launcher does.
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
        """Take up the runs that this replica drove before a restart, then go on in the background."""
        await self._take_up(await self._store.leases.renew())
        self._task = asyncio.create_task(self._keep())

    def retire(self) -> None:
        """Take no more runs; leases are renewed until `stop`."""
        self._takes = False

    async def stop(self) -> None:
        """Stop renewing and taking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def subscribe(self, notifications: Notifications) -> None:
        """Pass on stops that were asked for at other replicas, until notifications end."""
        async with aclosing(notifications.subscribe(STOPPED)) as arrived:
            async for run_id in arrived:
                # What is missed here, the next round finds.
                if run_id is not None and self._supervisor.holds(run_id):
                    with suppress(SwathError):
                        self._supervisor.stop_requested(await self._store.get(run_id))

    async def subscribe_commands(self, notifications: Notifications) -> None:
        """Pass on commands that were asked for at other replicas, until notifications end."""
        async with aclosing(notifications.subscribe(ASKED)) as arrived:
            async for run_id in arrived:
                if run_id is not None:
                    with suppress(SwathError):
                        await self._supervisor.deliver(run_id)

    async def poll(self) -> None:
        """Do one round."""
        before = self._supervisor.runs
        held = await self._store.leases.renew()
        for run in held:
            self._supervisor.stop_requested(run)
        for run_id in await self._store.commands.waiting():
            await self._supervisor.deliver(run_id)
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
            _log.info("run of another replica taken over", run=run.id, attempt=run.attempt, state=run.state)
        await self._take_up(adopted)

    async def _take_up(self, runs: Iterable[Run]) -> None:
        """Go on with runs that this replica holds and does not drive; what cannot be now is left to a later round."""
        for run in runs:
            if self._supervisor.holds(run.id) or run.id in self._starting:
                continue
            try:
                present = await self._store.get(run.id)
                if not present.state.over and self._store.holds(present):
                    await self._take(present)
            except SwathError as error:
                _log.warning("run not taken up yet", run=run.id, error=error.message)

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
                _log.warning("leases of runs not renewed for a while", error=str(error))
