"""Answers of calls that are under way: what a handle gives at once, whatever it calls."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, NoReturn

from swath.serve.context import RunningRequest
from swath.serve.exceptions import RayServeException, RequestCancelledError, RequestTimedOut
from swath.serve.exchange import RequestFacts

_tasks: set[asyncio.Task[Any]] = set()


class Answer:
    """A call that is under way, whatever its answer is. `_start` begins it.

    Args:
        loop: The event loop that it belongs to.
        parent: The request whose handler makes it; it is taken back with that.
        facts: What travels with it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, parent: RunningRequest | None, facts: RequestFacts) -> None:
        self._loop = loop
        self._parent = parent
        self._facts = facts
        self._cancelled = False
        self._task: asyncio.Task[Any] | None = None

    def _start(self) -> None:
        if self._parent is not None:
            self._parent.children.add(self.cancel)
        if self._on_loop():
            self._begin()
        else:
            self._loop.call_soon_threadsafe(self._begin)

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())
        _tasks.add(self._task)
        self._task.add_done_callback(self._done)
        if self._cancelled:
            self._stop()

    def _done(self, task: asyncio.Task[Any]) -> None:
        _tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody has to
        self._over()

    def _over(self) -> None:
        if self._parent is not None:
            self._parent.children.discard(self.cancel)

    async def _run(self) -> Any:
        raise NotImplementedError

    @property
    def request_id(self) -> str:
        """Id of the request that the call belongs to: that of the request whose handler has made it."""
        return self._facts.request_id

    def cancel(self) -> None:
        """Take the call back: it leaves the queue, or what computes it is stopped."""
        self._cancelled = True
        if self._on_loop():
            self._stop()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def cancelled(self) -> bool:
        """Return whether it was taken back."""
        return self._cancelled

    def _stop(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
        self._over()

    def _taken_back(self) -> RequestCancelledError:
        self._cancelled = True
        return RequestCancelledError(f"Request {self.request_id} was cancelled.")

    def _from_thread(self, awaitable: Any, timeout_s: float | None) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            awaitable.close()
            raise RuntimeError(
                "Sync methods should not be called from within an asyncio event loop. "
                "Use `await response` or `async for` instead."
            )
        try:
            return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(timeout_s)
        except TimeoutError as error:
            if isinstance(error, RequestTimedOut) or timeout_s is None:
                raise
            raise RequestTimedOut(f"Request {self.request_id} has not ended within {timeout_s} s.") from None

    def __reduce__(self) -> NoReturn:
        raise RayServeException(
            f"{type(self).__name__} cannot be sent inside another value: give it as an argument of its own, "
            "or give its value"
        )


class Response(Answer):
    """An answer that is one value: `await` it in asyncio, call `.result()` elsewhere. Both may be repeated."""

    async def _wait(self) -> Any:
        assert self._task is not None
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._task.cancelled():
                raise self._taken_back() from None
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        try:
            if self._on_loop():
                return await self._wait()
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._wait(), self._loop))
        except asyncio.CancelledError:
            self.cancel()
            raise

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the value.

        Args:
            timeout_s: Seconds to wait; None for as long as it takes. The call goes on when they have passed.

        Raises:
            RuntimeError: Called where an asyncio loop runs.
            RequestTimedOut: It took longer; a TimeoutError too.
            RequestCancelledError: It was taken back.
            Exception: Why it failed; of a deployment's handler what that raised.
        """
        return self._from_thread(self._wait(), timeout_s)


async def argument(value: Any) -> Any:
    """Return what a call gets for an argument: of the answer of another call its value.

    Raises:
        TypeError: It is the answer of a generator.
    """
    if isinstance(value, Response):
        return await value
    if isinstance(value, Answer):
        raise TypeError("the answers of a generator cannot be an argument: gather them first")
    return value
