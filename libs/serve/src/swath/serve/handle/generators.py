"""The answers of a generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn, Self

from swath.serve.handle.calls import Called, value_of
from swath.serve.transport.call import Call
from swath.serve.transport.values import unpack


class DeploymentResponseGenerator(Called):
    """The answers of a generator: `async for` in asyncio, `for` elsewhere. The generator waits for its reader."""

    async def _run(self) -> Call:
        return await self._open()

    async def _next(self) -> Any:
        assert self._task is not None
        try:
            call = await asyncio.shield(self._task)
            message = await call.receive()
        except asyncio.CancelledError:
            if self._cancelled:
                raise self._taken_back() from None
            raise
        if message is not None:
            sizes, payload = message
            return unpack(sizes, payload)
        if self._cancelled:
            raise self._taken_back()
        value_of(call)
        raise StopAsyncIteration

    def _over(self) -> None:
        # The task ends when the call has started: what it belongs to may still take it back.
        if self._task is None or self._cancelled or self._call is None or self._call.over:
            super()._over()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._on_loop():
                return await self._next()
            later = asyncio.run_coroutine_threadsafe(self._next_or(), self._loop)
            found, value = await asyncio.wrap_future(later)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if not found:
            raise StopAsyncIteration
        return value

    async def _next_or(self) -> tuple[bool, Any]:
        try:
            return True, await self._next()
        except StopAsyncIteration:
            return False, None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        found, value = self._from_thread(self._next_or(), None)
        if not found:
            raise StopIteration
        return value

    def __await__(self) -> NoReturn:
        raise TypeError("the answers of a generator are not awaited: use `async for`")

    def result(self, timeout_s: float | None = None) -> NoReturn:
        """Refuse: a generator has many answers.

        Raises:
            TypeError: Always.
        """
        raise TypeError("the answers of a generator have no `.result()`: use `for`, or `async for` in asyncio")

    def __del__(self) -> None:
        call = getattr(self, "_call", None)
        if call is not None and not call.over:
            self.cancel()
