"""Removal of artifacts that nothing refers to any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import StorageRefused, SwathError
from swath.storage import ArtifactStore
from swath.storage.artifacts.store import CHECKPOINTS
from swath_session.artifact_gc.unreferenced import UnreferencedArtifacts
from swath_session.settings import SessionSettings

_log = structlog.get_logger("swath.session")

_LEASE_S = 120.0
"""Longer than a batch takes, its waiting for the store included."""
_BATCH = 200
_POLL_INTERVAL_S = 60.0
_SHORTEST_S = 1.0
_LONGEST_WRITE_S = 3600.0


Referrer = Callable[[], Awaitable[set[str]]]
"""Gives the digests that a service needs."""


class Collector:
    """Removes, from time to time, artifacts that no session, no run and no model has referred to for a while.

    One replica at a time does a round: it asks all that refer to artifacts, and goes on only if all have answered. An
    artifact without a referrer is recorded, and removed once each round has found it so for the grace period. A digest
    on its way from one row to another, which a round may miss, is found in the next one.

    Args:
        artifacts: Where they are.
        referrers: Each gives the digests that one service needs. They are asked in turn.
        unreferenced: What was found.
        grace_s: Seconds for which an artifact stays in any case after it was last put, and after nothing refers to it.
        interval_s: Seconds between two rounds.

    Attributes:
        removed: How many artifacts were removed since this process started.
        rounds: How many rounds this replica has done.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        referrers: Sequence[Referrer],
        unreferenced: UnreferencedArtifacts,
        *,
        grace_s: float,
        interval_s: float,
    ) -> None:
        self._artifacts = artifacts
        self._referrers = referrers
        self._unreferenced = unreferenced
        self._grace_s = grace_s
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None
        self.removed = 0
        self.rounds = 0

    def start(self) -> None:
        """Go on in the background until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what the round under way has left to do is done by the next one."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._unreferenced.close()

    async def collect(self) -> int:
        """Do a round if it is time for one, and return how many artifacts were removed.

        Raises:
            SwathError: Not all referrers have answered, or the store has not: nothing more is removed.
        """
        if not await self._acquire_lease():
            return 0
        live: set[str] = set()
        for referrer in self._referrers:
            live |= await referrer()
        await asyncio.to_thread(self._artifacts.tidy_sync, max(self._grace_s, _LONGEST_WRITE_S))
        old = await asyncio.to_thread(self._artifacts.older_sync, self._grace_s)
        due = await self._due(old - live)
        removed = 0
        for at in range(0, len(due), _BATCH):
            if not await self._acquire_lease():
                return removed  # this process was frozen for so long that another one does it
            removed += len(await asyncio.to_thread(self._artifacts.remove_sync, due[at : at + _BATCH], self._grace_s))
        self.removed += removed
        self.rounds += 1
        # Without space for that the lease lapses by itself.
        with suppress(StorageRefused):
            await self._unreferenced.release_lease(self._interval_s)
        return removed

    async def _acquire_lease(self) -> bool:
        try:
            return await self._unreferenced.acquire_lease(_LEASE_S)
        except StorageRefused:
            # The disk may be full of what is to go.
            if self._unreferenced.alone:
                return True
            raise

    async def _due(self, unreferenced: set[str]) -> list[str]:
        try:
            return await self._unreferenced.mark(unreferenced, self._grace_s)
        except StorageRefused:
            return [each for each in await self._unreferenced.due(self._grace_s) if each in unreferenced]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(min(self._interval_s, _POLL_INTERVAL_S))
            try:
                if removed := await self.collect():
                    _log.info("artifacts that nothing refers to were removed", count=removed)
            except SwathError as error:
                _log.warning("artifacts were not collected; the next round tries again", error=error.message)
            except Exception:
                _log.exception("artifacts were not collected; the next round tries again")


class Collectors:
    """The collectors of a suite: of artifacts, and of checkpoints.

    Args:
        artifacts: The store.
        runs: Gives what runs refer to.
        sessions: Gives what sessions refer to.
        models: Gives what published models refer to.
        engine: The session service's database.
        settings: Times.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        runs: Referrer,
        sessions: Referrer,
        models: Referrer,
        engine: AsyncEngine,
        settings: SessionSettings,
    ) -> None:
        grace_s = settings.checkpoint_grace_s
        self._all = (
            # A run's result goes from the run to its session, and what is published from there to a model: whoever is
            # asked first cannot have got what the next one has lost.
            Collector(
                artifacts,
                (runs, sessions, models),
                UnreferencedArtifacts(engine),
                grace_s=settings.artifact_grace_s,
                interval_s=settings.artifact_collect_s,
            ),
            Collector(
                artifacts.part(CHECKPOINTS),
                (runs,),
                UnreferencedArtifacts(engine, CHECKPOINTS),
                grace_s=grace_s,
                interval_s=min(max(grace_s, _SHORTEST_S), settings.artifact_collect_s),
            ),
        )

    @property
    def removed(self) -> int:
        """How many artifacts were removed since this process started."""
        return sum(each.removed for each in self._all)

    @property
    def rounds(self) -> int:
        """How many rounds this process has done."""
        return sum(each.rounds for each in self._all)

    def start(self) -> None:
        """Go on in the background until `stop`."""
        for each in self._all:
            each.start()

    async def stop(self) -> None:
        """End; what is left to do is done by the next ones."""
        for each in self._all:
            await each.stop()
