"""What workers have logged: taken in, read, and followed at any replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from swath.storage.sql.notifications import Notifications
from swath_training.runs.database.log_store import LOGGED, PAGE
from swath_training.runs.database.store import MOVED, RunStore
from swath_training.runs.items import Line
from swath_training.runs.logs.follower import Follower
from swath_training.runs.model import LoggedLine

_TAIL = 2 * PAGE


class LogStream:
    """Takes in the log lines of runs and lets any number follow them.

    Args:
        store: Where the lines are.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._follower = Follower(_Lines(store), _leaving, tail=_TAIL, page=PAGE)

    async def append(self, run_id: str, attempt: int, lines: Sequence[Line]) -> None:
        """Write lines that are new to a run; see `LogStore.append`."""
        before, written = await self._store.lines.append(run_id, attempt, lines)
        self._follower.append(run_id, written, before=before)

    def read(self, run_id: str, after: int, *, follow: bool) -> AsyncGenerator[Sequence[LoggedLine]]:
        """Yield a run's lines after a number, some at a time; those that are still to come only where they are wanted.

        Raises:
            RunNotFound: No such run.
            Unavailable: This server goes away before the run is over.
        """
        return self._follower.follow(run_id, after) if follow else self._follower.read(run_id, after)

    async def subscribe(self, notifications: Notifications) -> None:
        """Take in that a run has new lines or is over, at whichever replica, until notifications end."""
        await asyncio.gather(
            self._follower.subscribe(notifications, LOGGED, lambda run_id, _: self._follower.look_again(run_id)),
            self._follower.subscribe(notifications, MOVED, self._moved),
        )

    def _moved(self, run_id: str, facts: Sequence[str]) -> None:
        if len(facts) > 1:  # a number and a state: the run is over
            self._follower.look_again(run_id)

    def cut(self) -> None:
        """Send all followers away after what has been logged until now."""
        self._follower.cut()


class _Lines:
    def __init__(self, store: RunStore) -> None:
        self._store = store

    def number(self, entry: LoggedLine) -> int:
        return entry.number

    async def after(self, run_id: str, number: int) -> list[LoggedLine]:
        return await self._store.lines.after(run_id, number)

    async def state(self, run_id: str) -> tuple[int, bool]:
        run = await self._store.get(run_id)
        return run.line_number, run.state.over


def _leaving(run_id: str) -> str:
    return "the server goes away: ask again for the lines that follow"
