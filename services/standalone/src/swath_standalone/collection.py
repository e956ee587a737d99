"""Removal of artifacts that nothing refers to any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from swath.storage import ArtifactStore

_log = structlog.get_logger("swath.standalone")


class Collector:
    """Removes, from time to time, artifacts that neither a session nor a run refers to.

    Args:
        artifacts: Where they are.
        referrers: Each gives the digests that one service needs. One that hands digests on to another comes first:
            so a digest on its way is seen at least once.
        grace_s: Seconds for which an artifact stays in any case after it was last put.
        every_s: Seconds between two rounds.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        referrers: Sequence[Callable[[], Awaitable[set[str]]]],
        *,
        grace_s: float,
        every_s: float,
    ) -> None:
        self._artifacts = artifacts
        self._referrers = referrers
        self._grace_s = grace_s
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on in the background until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End after the round that is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def collect(self) -> int:
        """Do one round and return how many artifacts went."""
        live: set[str] = set()
        for referrer in self._referrers:
            live |= await referrer()
        return await asyncio.to_thread(self._artifacts.collect_sync, live, grace_s=self._grace_s)

    async def _run(self) -> None:
        while True:
            # A service that was restarted has time to take up its runs first.
            await asyncio.sleep(self._every_s)
            try:
                if removed := await self.collect():
                    _log.info("artifacts that nothing refers to were removed", count=removed)
            except Exception:
                _log.exception("artifacts were not collected; the next round tries again")
