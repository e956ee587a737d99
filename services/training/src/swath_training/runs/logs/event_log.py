"""The event logs of runs, and those who follow them. An event is on disk before anybody sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from swath.storage.sql.notifications import Notifications
from swath_training.runs.database.rows import Written
from swath_training.runs.database.store import MOVED, RunStore
from swath_training.runs.items import Event, Item
from swath_training.runs.logs.follower import Follower
from swath_training.runs.model import LoggedEvent, Run, RunState

_TAIL = 512


class EventLog:
    """Appends to runs' logs and lets any number follow them.

    Args:
        store: Where the logs are.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._follower = Follower(_Events(store), _leaving, tail=_TAIL, page=_TAIL)

    async def record(self, run_id: str, attempt: int, items: Sequence[Item]) -> Run:
        """Write what a worker reports; returns after it is on disk.

        Raises:
            AttemptFenced: The attempt is not the present one.
        """
        return self._publish(await self._store.record(run_id, attempt, items))

    async def append_note(self, run_id: str, event: Event) -> Run:
        """Append an event of the service's own."""
        return self._publish(await self._store.append_note(run_id, event))

    async def end(self, run_id: str, state: RunState, final: Event | None = None) -> Run:
        """End a run and let its followers go once they have read everything; see `RunStore.end`."""
        return self._publish(await self._store.end(run_id, state, final))

    def _publish(self, written: Written) -> Run:
        run, events = written.run, written.events
        self._follower.append(run.id, events, before=run.last_seq - len(events), over=run.state.over)
        return run

    async def follow(self, run_id: str, after_seq: int) -> AsyncGenerator[LoggedEvent]:
        """Yield a run's events after a sequence number as they come, until the run is over.

        Raises:
            RunNotFound: No such run.
            Unavailable: This server goes away before the run is over.
        """
        async with aclosing(self._follower.follow(run_id, after_seq)) as pages:
            async for page in pages:
                for event in page:
                    yield event

    async def subscribe(self, notifications: Notifications) -> None:
        """Take in what other replicas append to logs that are followed here, until notifications end."""
        await self._follower.subscribe(notifications, MOVED, self._moved)

    def _moved(self, run_id: str, facts: Sequence[str]) -> None:
        last_seq, *over = facts
        self._follower.advance(run_id, int(last_seq), over=bool(over))

    def cut(self) -> None:
        """Send all followers away after what is in the log now."""
        self._follower.cut()


class _Events:
    def __init__(self, store: RunStore) -> None:
        self._store = store

    def number(self, entry: LoggedEvent) -> int:
        return entry.seq

    async def after(self, run_id: str, number: int) -> list[LoggedEvent]:
        return await self._store.events(run_id, number)

    async def state(self, run_id: str) -> tuple[int, bool]:
        run = await self._store.get(run_id)
        return run.last_seq, run.state.over


def _leaving(run_id: str) -> str:
    return f"the server goes away; run {run_id} goes on when it is back: call Train again to follow it"
