"""Answers of calls that are under way, and the answer that is one value."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any, NoReturn

from swath.serve.context import RunningRequest, running
from swath.serve.exceptions import RayServeException, ReplicaDied, RequestCancelledError, RequestTimedOut
from swath.serve.handle.target import Caller, Target, as_tuple, facts_of
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer
from swath.serve.transport.values import pack, unpack

_tasks: set[asyncio.Task[Any]] = set()


class Answer:
    """A call that is under way, whatever its answer is."""

    def __init__(self, caller: Caller, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._caller = caller
        self._target = target
        self._parent: RunningRequest | None = running.get()
        self._facts = facts_of(target, self._parent)
        self._call: Call | None = None
        self._cancelled = False
        self._task: asyncio.Task[Any] | None = None
        self._arguments = (args, kwargs)
        # Values are taken as they are now: what the caller does to them later is not seen.
        self._packed: tuple[tuple[int, ...], list[Buffer]] | Exception | None = None
        if not any(isinstance(each, Answer) for each in (*args, *kwargs.values())):
            self._pack(args, kwargs)
        if self._parent is not None:
            self._parent.children.add(self.cancel)
        if self._on_loop():
            self._begin()
        else:
            caller.loop.call_soon_threadsafe(self._begin)

    def _pack(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        try:
            self._packed = pack((tuple(args), kwargs), self._caller.by_value)
        except Exception as error:  # said by the answer: `remote` itself never fails for what it was given
            self._packed = error
        self._arguments = ((), {})

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._caller.loop
        except RuntimeError:
            return False

    def _begin(self) -> None:
        self._task = self._caller.loop.create_task(self._run())
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

    async def _open(self) -> Call:
        if self._packed is None:
            args, kwargs = self._arguments
            self._pack(
                [await _argument(each) for each in args],
                {name: await _argument(each) for name, each in kwargs.items()},
            )
        if isinstance(self._packed, Exception):
            raise self._packed
        assert self._packed is not None
        (sizes, parts), self._packed = self._packed, None
        about = (self._target.method, self._target.stream, as_tuple(self._facts), sizes)
        self._call = await self._caller.open(self._target, about, parts)
        return self._call

    @property
    def request_id(self) -> str:
        """Id of the request that the call belongs to: that of the request whose handler has made it."""
        return self._facts.request_id

    def cancel(self) -> None:
        """Take the call back: it leaves the queue, or its handler is stopped, whatever its kind."""
        self._cancelled = True
        if self._on_loop():
            self._stop()
        elif not self._caller.loop.is_closed():
            self._caller.loop.call_soon_threadsafe(self._stop)

    def cancelled(self) -> bool:
        """Return whether it was taken back."""
        return self._cancelled

    def _stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
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
            return asyncio.run_coroutine_threadsafe(awaitable, self._caller.loop).result(timeout_s)
        except TimeoutError as error:
            if isinstance(error, RequestTimedOut) or timeout_s is None:
                raise
            raise RequestTimedOut(f"Request {self.request_id} has not ended within {timeout_s} s.") from None

    def __reduce__(self) -> NoReturn:
        raise RayServeException(
            f"{type(self).__name__} cannot be sent inside another value: give it as an argument of its own, "
            "or give its value"
        )


class DeploymentResponse(Answer):
    """The answer of a call: `await` it in asyncio, call `.result()` elsewhere. Both may be repeated.

    A failed call raises the very exception that the handler raised, and its traceback there as the cause. Ray raises a
    class made from both, with the original as `.cause`.
    """

    async def _run(self) -> Any:
        call = await self._open()
        try:
            while await call.receive() is not None:
                pass
        except asyncio.CancelledError:
            call.cancel()
            raise
        return value_of(call)

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
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._wait(), self._caller.loop))
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
            Exception: What the handler raised.
        """
        return self._from_thread(self._wait(), timeout_s)


class _RemoteTraceback(Exception):
    """The traceback of an exception in the process that raised it."""


def value_of(call: Call) -> Any:
    """Return what a call of Python values ended with.

    Raises:
        Exception: What its handler raised.
    """
    if call.end is None:
        raise ReplicaDied("The process of the replica ended before the call had finished.")
    (good, sizes, text, traceback), payload = call.end
    if good:
        return unpack(sizes, payload) if sizes else None
    try:
        error = unpack(sizes, payload)
    except Exception:  # its class cannot be had here
        error = RayServeException(text)
    if not isinstance(error, BaseException):
        error = RayServeException(text)
    if traceback:
        error.__cause__ = _RemoteTraceback(f"\n{traceback}")
    raise error


async def _argument(value: Any) -> Any:
    if isinstance(value, DeploymentResponse):
        return await value
    if isinstance(value, Answer):
        raise TypeError("the answers of a generator cannot be an argument: gather them first")
    return value
