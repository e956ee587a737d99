"""Following logs: one implementation for everything that a run appends to and clients wait for.

Followers of a run share one event object and a tail in memory: a hundred of them that wait cost neither a thread nor a
connection, and those who are up to date read from memory what the log has just taken in. The database is the truth;
what another replica appends is announced by notifications and read from there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from swath.errors import RunNotFound, SwathError, Unavailable
from swath.retry import Backoff, Retry
from swath.storage.sql.notifications import Notifications

T = TypeVar("T")

_RETRY = Retry(on=SwathError, initial_s=1.0, max_s=2.0)


class Source(Protocol[T]):
    """The log of one kind in the database."""

    def number(self, entry: T) -> int:
        """Return the number of an entry; numbers grow, and may have gaps."""
        ...

    async def state(self, run_id: str) -> tuple[int, bool]:
        """Return the number of a run's last entry, 0 for none, and whether the run is over.

        Raises:
            RunNotFound: No such run.
        """
        ...

    async def after(self, run_id: str, number: int) -> Sequence[T]:
        """Return some of a run's entries after a number, in order; none at the end."""
        ...


@dataclass(eq=False)
class _Feed(Generic[T]):
    """What this process knows of a log that somebody follows.

    Attributes:
        last: Number of its last entry; -1 until it is known.
        over: Whether nothing more will come.
        stale: Whether the database has to be asked for the two.
        tail: Its last entries, without gaps from the one after `tail_after` on.
        tail_after: Number of the entry before the tail.
        moved: Set when there is something to look at; then replaced.
    """

    last: int = -1
    over: bool = False
    stale: bool = True
    followers: int = 0
    tail: deque[T] = field(default_factory=deque)
    tail_after: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    def advance(self, last: int, *, over: bool) -> None:
        self.last = max(self.last, last)
        self.over = self.over or over
        self.wake()


class Follower(Generic[T]):
    """Lets any number follow the logs of one kind.

    Args:
        source: Where the logs are.
        leaving: Text of the error by which followers are sent away when this server goes; takes the run's id.
        tail: Entries that are kept in memory for each run that is followed.
        page: Entries that are yielded at a time at most.
    """

    def __init__(self, source: Source[T], leaving: Callable[[str], str], *, tail: int, page: int) -> None:
        self._source = source
        self._leaving = leaving
        self._tail = tail
        self._page = page
        self._feeds: dict[str, _Feed[T]] = {}
        self._cut = False

    async def read(self, run_id: str, after: int) -> AsyncGenerator[Sequence[T]]:
        """Yield the entries after a number that there are now, some at a time."""
        while entries := await self._source.after(run_id, after):
            yield entries
            after = self._source.number(entries[-1])

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[Sequence[T]]:
        """Yield a run's entries after a number as they come, some at a time, until the run is over.

        Raises:
            RunNotFound: No such run.
            Unavailable: This server goes away before the run is over.
        """
        feed = self._feeds.setdefault(run_id, _Feed())
        feed.followers += 1
        try:
            while True:
                moved = feed.moved
                await self._refresh(run_id, feed)
                # Known before the entries are read: a run that is over has all of them.
                over = feed.over
                while after < feed.last:
                    entries = self._from_tail(feed, after) or await self._source.after(run_id, after)
                    if not entries:
                        return  # the log was removed while it was read
                    yield entries
                    after = self._source.number(entries[-1])
                if over:
                    return
                if self._cut:
                    raise Unavailable(self._leaving(run_id), metadata={"run": run_id}, retry_after=1.0)
                await moved.wait()
        finally:
            feed.followers -= 1
            if not feed.followers and self._feeds.get(run_id) is feed:
                del self._feeds[run_id]

    async def _refresh(self, run_id: str, feed: _Feed[T]) -> None:
        """Ask the database for what is not known of a log.

        Raises:
            SwathError: It cannot be asked, and nothing was known of the log before. Those who follow it already wait.
        """
        backoff = Backoff(_RETRY)
        try:
            while feed.stale:
                feed.stale = False
                try:
                    last, over = await self._source.state(run_id)
                except RunNotFound:
                    if feed.last < 0:
                        raise
                    last, over = feed.last, True
                except SwathError as error:
                    if feed.last < 0:
                        raise
                    feed.stale = True
                    await asyncio.sleep(backoff.failed(error))
                    continue
                feed.advance(last, over=over)
        except BaseException:
            # Somebody else who follows the run asks in place of this one.
            feed.stale = True
            feed.wake()
            raise

    def _from_tail(self, feed: _Feed[T], after: int) -> list[T]:
        """Return entries after a number; none if memory does not reach back, or on, so far."""
        if after < feed.tail_after:
            return []
        return [entry for entry in feed.tail if self._source.number(entry) > after][: self._page]

    def append(self, run_id: str, entries: Sequence[T], *, before: int, over: bool = False) -> None:
        """Hand on what this replica has appended to a log, once it is on disk.

        Args:
            run_id: The run.
            entries: What was appended.
            before: Number of the entry before them, 0 for none.
            over: Whether nothing more will come.
        """
        feed = self._feeds.get(run_id)
        if feed is None or not (entries or over):
            return
        last = feed.last
        if entries:
            last = self._source.number(entries[-1])
            if not feed.tail or before != self._source.number(feed.tail[-1]):
                feed.tail.clear()
                feed.tail_after = before
            feed.tail.extend(entries)
            while len(feed.tail) > self._tail:
                feed.tail_after = self._source.number(feed.tail.popleft())
        feed.advance(last, over=over)

    def advance(self, run_id: str, last: int, *, over: bool) -> None:
        """Take in that a log has an entry of this number, and whether nothing more will come."""
        feed = self._feeds.get(run_id)
        if feed is not None and (last > feed.last or (over and not feed.over)):
            feed.advance(last, over=over)

    def look_again(self, run_id: str) -> None:
        """Have followers of a run ask the database."""
        if (feed := self._feeds.get(run_id)) is not None:
            feed.stale = True
            feed.wake()

    async def subscribe(
        self, notifications: Notifications, channel: str, notified: Callable[[str, Sequence[str]], None]
    ) -> None:
        """Take in what is announced on a channel, until notifications end.

        Args:
            notifications: Of the database.
            channel: Its notifications begin with the id of a run.
            notified: Called with that id and the fields after it.
        """
        async with aclosing(notifications.subscribe(channel)) as arrived:
            async for payload in arrived:
                if payload is None:  # some may have been missed
                    for run_id in list(self._feeds):
                        self.look_again(run_id)
                else:
                    run_id, *facts = payload.split(" ")
                    notified(run_id, facts)

    def cut(self) -> None:
        """Send all followers away after what is in the log now."""
        self._cut = True
        for feed in self._feeds.values():
            feed.wake()
