"""Work on items that arrive, some of them at a time, with results in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Ordered(Generic[T, R]):
    """Results of work on items, in their order. While none is there to take it holds two tasks, and no thread.

    Args:
        items: Read no further than `ahead` items before the result that is due.
        work: Called for each of them as it comes. What it raises ends the results, at its place.
        ahead: Items that are taken at a time.
    """

    def __init__(self, items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], ahead: int) -> None:
        self._items = items
        self._work = work
        self._room = asyncio.Semaphore(ahead)
        self._due: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Future[R]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._end: Exception | None = None
        self._last: Exception | None = None

    def end(self, error: Exception) -> None:
        """Have the results end with an error, now."""
        self._end = self._end or error
        self._due.put_nowait(None)

    def stop(self, error: Exception) -> None:
        """Take no more items, and have the results end with an error after those that are due."""
        self._last = self._last or error
        self._due.put_nowait(None)
        if self._reader is not None:
            self._reader.cancel()

    async def results(self) -> AsyncGenerator[R, None]:
        """Iterate over the results; close it, or iterate to the end."""
        reader = self._reader = asyncio.create_task(self._read())
        if self._last is not None:
            reader.cancel()
        try:
            while (task := await self._due.get()) is not None and self._end is None:
                result = await task
                self._tasks.discard(task)
                yield result
                self._room.release()
            if (error := self._end or self._last) is not None:
                raise error
        finally:
            reader.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(reader, *self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        try:
            await self._room.acquire()
            async for item in self._items:
                task = asyncio.ensure_future(self._work(item))
                self._tasks.add(task)
                self._due.put_nowait(task)
                await self._room.acquire()
        except Exception as error:
            # Results of what came before it are given first.
            failed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            self._tasks.add(failed)
            self._due.put_nowait(failed)
        finally:
            self._due.put_nowait(None)
