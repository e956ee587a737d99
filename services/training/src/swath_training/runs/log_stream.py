"""Reading what workers have logged, and waiting for more of it, at any replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from swath.errors import Unavailable
from swath.storage.sql.notifications import Notifications
from swath_training.runs.log_store import LOGGED
from swath_training.runs.model import LoggedLine
from swath_training.runs.store import MOVED, RunStore


class LogStream:
    """Lets any number follow the lines of runs.

    Args:
        store: Where the lines are.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._cut = False

    async def read(self, run_id: str, after: int, *, follow: bool) -> AsyncGenerator[list[LoggedLine]]:
        """Yield a run's lines after a number, some at a time; those that are still to come only where they are wanted.

        Raises:
            RunNotFound: No such run.
            Unavailable: This server goes away before the run is over.
        """
        moved = asyncio.Event()
        followers = self._followers.setdefault(run_id, set())
        followers.add(moved)
        try:
            while True:
                moved.clear()
                # Asked first: a run that is over has all of its lines.
                last = not follow or (await self._store.get(run_id)).state.over
                while lines := await self._store.lines.after(run_id, after):
                    yield lines
                    after = lines[-1].number
                if last:
                    return
                if self._cut:
                    raise Unavailable(
                        "the server goes away: ask again for the lines that follow",
                        metadata={"run": run_id},
                        retry_after=1.0,
                    )
                await moved.wait()
        finally:
            followers.discard(moved)
            if not followers and self._followers.get(run_id) is followers:
                del self._followers[run_id]

    async def subscribe(self, notifications: Notifications) -> None:
        """Wake followers when a run has new lines or is over, at whichever replica, until the notices end."""
        await asyncio.gather(*[self._subscribe(notifications, channel) for channel in (LOGGED, MOVED)])

    async def _subscribe(self, notifications: Notifications, channel: str) -> None:
        async with aclosing(notifications.subscribe(channel)) as arrived:
            async for told in arrived:
                if told is None:
                    self._wake_all()
                    continue
                run_id, *moved = told.split(" ")
                # Of a run that has moved on only its end is of interest: a number, and then a state.
                if len(moved) != 1:
                    self._wake(run_id)

    def cut(self) -> None:
        """Send all followers away after what has been logged until now."""
        self._cut = True
        self._wake_all()

    def _wake_all(self) -> None:
        for run_id in self._followers:
            self._wake(run_id)

    def _wake(self, run_id: str) -> None:
        for follower in self._followers.get(run_id, ()):
            follower.set()
