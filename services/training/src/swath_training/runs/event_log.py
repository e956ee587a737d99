"""The event logs of runs, and those who follow them.

An event is on disk before anybody sees it. Followers wait on one event object a run: a hundred of them that wait cost
neither a thread nor a connection, and those who are up to date read from memory what the log has just taken in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from swath.errors import RunNotFound, SwathError, Unavailable
from swath.storage.sql.notifications import Notifications
from swath_training.runs.items import Item
from swath_training.runs.model import Entry, Run, RunState
from swath_training.runs.rows import Written
from swath_training.runs.store import MOVED, RunStore

_TAIL = 512


@dataclass(eq=False)
class _Feed:
    """What this process knows of a log that somebody follows."""

    last_seq: int = -1
    over: bool = False
    followers: int = 0
    tail: deque[Entry] = field(default_factory=lambda: deque(maxlen=_TAIL))
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def advance(self, last_seq: int, over: bool) -> None:
        self.last_seq = max(self.last_seq, last_seq)
        self.over = self.over or over
        self.wake()

    def wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    def take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self.tail and entry.seq != self.tail[-1].seq + 1:
                self.tail.clear()
            self.tail.append(entry)

    def since(self, after_seq: int) -> list[Entry]:
        """Return the entries after a sequence number; none if memory does not reach back, or on, so far."""
        if not self.tail or self.tail[0].seq > after_seq + 1:
            return []
        return [entry for entry in self.tail if entry.seq > after_seq]


class EventLog:
    """Appends to runs' logs and lets any number follow them.

    Args:
        store: Where the logs are.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._feeds: dict[str, _Feed] = {}
        self._cut = False

    async def record(self, run_id: str, attempt: int, items: Sequence[Item]) -> Run:
        """Write down what a worker reports; returns after it is on disk.

        Raises:
            AttemptFenced: The attempt is not the present one.
        """
        return self._publish(await self._store.record(run_id, attempt, items))

    async def note(self, run_id: str, payload: bytes) -> Run:
        """Append an event of the service's own."""
        return self._publish(await self._store.note(run_id, payload))

    async def end(self, run_id: str, state: RunState, final: bytes | None = None) -> Run:
        """End a run and let its followers go once they have read everything; see `RunStore.end`."""
        return self._publish(await self._store.end(run_id, state, final))

    def _publish(self, written: Written) -> Run:
        run = written.run
        feed = self._feeds.get(run.id)
        if feed is not None and (written.entries or run.state.over):
            feed.take(written.entries)
            feed.advance(run.last_seq, run.state.over)
        return run

    async def follow(self, run_id: str, after_seq: int) -> AsyncGenerator[Entry]:
        """Yield a run's events after a sequence number as they come, until the run is over.

        Raises:
            RunNotFound: No such run.
            Unavailable: This server goes away before the run is over.
        """
        feed = self._feeds.setdefault(run_id, _Feed())
        feed.followers += 1
        try:
            if feed.last_seq < 0:
                run = await self._store.get(run_id)
                feed.advance(run.last_seq, run.state.over)
            while True:
                while after_seq < feed.last_seq:
                    entries = feed.since(after_seq) or await self._store.entries(run_id, after_seq)
                    if not entries:
                        return  # the log was removed while it was read
                    for entry in entries:
                        yield entry
                        after_seq = entry.seq
                if feed.over:
                    return
                if self._cut:
                    raise Unavailable(
                        f"the server goes away; run {run_id} goes on when it is back: call Train again to follow it",
                        metadata={"run": run_id},
                        retry_after=1.0,
                    )
                moved = feed.moved
                await moved.wait()
        finally:
            feed.followers -= 1
            if not feed.followers and self._feeds.get(run_id) is feed:
                del self._feeds[run_id]

    async def subscribe(self, notifications: Notifications) -> None:
        """Take in what other replicas append to logs that are followed here, until the notices end."""
        async with aclosing(notifications.subscribe(MOVED)) as arrived:
            async for told in arrived:
                if told is None:
                    await self._look_again()
                    continue
                run_id, seq, *over = told.split(" ")
                feed = self._feeds.get(run_id)
                # What this replica wrote itself is known already.
                if feed is not None and (int(seq) > feed.last_seq or (over and not feed.over)):
                    feed.advance(int(seq), bool(over))

    async def _look_again(self) -> None:
        for run_id in list(self._feeds):
            while (feed := self._feeds.get(run_id)) is not None:
                try:
                    run = await self._store.get(run_id)
                except RunNotFound:
                    feed.advance(feed.last_seq, over=True)
                except SwathError:
                    await asyncio.sleep(1.0)
                    continue
                else:
                    feed.advance(run.last_seq, run.state.over)
                break

    def cut(self) -> None:
        """Send all followers away after what is in the log now."""
        self._cut = True
        for feed in self._feeds.values():
            feed.wake()
