"""Plain functions and generators, run in threads beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swath.serve.transport.call import Call, Ended
from swath.serve.transport.frames import Buffer

_THREADS = 1024
_AHEAD = 256 * 1024
"""Bytes that a thread may be ahead of the event loop, and always one message."""

_MESSAGE = 256


class Threads:
    """The threads of a replica.

    Attributes:
        abandoned: Calls that were taken back and whose functions still run: nothing can stop them.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="handler")
        self._lock = threading.Lock()
        self.abandoned = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """Run a function; if this task is cancelled, it is left alone.

        Raises:
            Exception: What it raised.
        """
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        state = _State(self)

        def work() -> Any:
            try:
                # A StopIteration cannot be set on a future.
                return True, context.run(function)
            except BaseException as error:
                return False, error
            finally:
                state.end()

        try:
            good, value = await loop.run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            state.abandon()
            raise
        if good:
            return value
        raise value

    def count(self, change: int) -> None:
        """Count calls that were abandoned."""
        with self._lock:
            self.abandoned += change


class _State:
    """Whether a function still runs and whether somebody waits for it."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._ended = False
        self._abandoned = False

    def abandon(self) -> None:
        with self._lock:
            if not self._ended:
                self._abandoned = True
                self._threads.count(1)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._abandoned:
                self._threads.count(-1)


class Pump:
    """Carries the items of a plain generator from its thread to a call, as far as the reader has room.

    Args:
        call: Where they go.
        encode: Makes an item what is sent: payload, and what is said about it. Runs in the thread.
    """

    def __init__(self, call: Call, encode: Callable[[Any], tuple[list[Buffer], Any]]) -> None:
        self._call = call
        self._encode = encode
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._items: deque[tuple[list[Buffer], Any, int]] = deque()
        self._size = 0
        self._scheduled = False
        self._stopped = False
        self._empty: asyncio.Future[None] | None = None
        call.on_credit = self._drain

    def run(self, items: Iterator[Any]) -> None:
        """Take all items; ends at the next one after `stop`. Runs in the thread.

        Raises:
            Exception: What the generator raised.
        """
        try:
            for item in items:
                if not self._put(*self._encode(item)):
                    return
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _put(self, payload: list[Buffer], about: Any) -> bool:
        size = sum(map(len, payload)) + _MESSAGE
        with self._changed:
            while self._size >= _AHEAD and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return False
            self._items.append((payload, about, size))
            self._size += size
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon_threadsafe(self._drain)
        return True

    def _drain(self) -> None:
        with self._changed:
            self._scheduled = False
            try:
                while self._items and self._call.room:
                    payload, about, size = self._items.popleft()
                    self._size -= size
                    self._call.send_now(payload, about)
            except Ended:
                self._stopped = True
                self._items.clear()
            self._changed.notify_all()
        if not self._items and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def flush(self) -> None:
        """Wait until all that the thread has given is sent."""
        if self._items and not self._stopped:
            self._empty = self._loop.create_future()
            await self._empty

    def stop(self) -> None:
        """Have the generator end at its next item."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
