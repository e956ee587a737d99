"""Runs handlers of all kinds: to one result, or item by item."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from swath.serve.replica.servable import Handler, Kind
from swath.serve.replica.threads import Pump, Threads
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer

Encode = Callable[[Any], tuple[list[Buffer], Any]]

_TURN = 32
"""Items after which a generator that never waits lets others have the event loop."""


async def result(handler: Handler, threads: Threads, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a handler that has one result.

    Raises:
        TypeError: It is a generator.
        Exception: What it raised.
    """
    if handler.streams:
        raise TypeError(
            f"Method {handler.name!r} returned a generator. You must use `handle.options(stream=True)`, or declare it "
            "as a stream in the service's definition, to call generators."
        )
    value = await _value(handler, threads, functools.partial(handler.function, *args, **kwargs))
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise TypeError(f"Method {handler.name!r} returned a generator where one value was expected.")
    return value


async def stream(
    handler: Handler, threads: Threads, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call, encode: Encode
) -> None:
    """Run a generator and send its items; it waits while the reader is behind.

    Args:
        handler: The generator.
        threads: Where plain ones run.
        args: Its arguments.
        kwargs: Its arguments by name.
        call: Where the items go.
        encode: Makes an item what is sent; runs where the generator runs.

    Raises:
        TypeError: It is no generator.
        Exception: What it raised.
    """
    given = functools.partial(handler.function, *args, **kwargs)
    if handler.kind is Kind.ASYNC_GENERATOR:
        await _stream_async(given(), call, encode)
        return
    items = given() if handler.kind is Kind.PLAIN_GENERATOR else await _value(handler, threads, given)
    if inspect.isasyncgen(items):
        await _stream_async(items, call, encode)
        return
    if not inspect.isgenerator(items):
        raise TypeError(
            f"Called method {handler.name!r} as a stream, but it did not return a generator: it returned "
            f"{type(items).__name__}."
        )
    pump = Pump(call, encode)
    try:
        await threads.run(functools.partial(pump.run, items))
        await pump.flush()
    finally:
        pump.stop()


async def _value(handler: Handler, threads: Threads, call: Callable[[], Any]) -> Any:
    value = await call() if handler.kind is Kind.ASYNC else await threads.run(call)
    return await value if inspect.isawaitable(value) else value


async def _stream_async(items: AsyncIterator[Any], call: Call, encode: Encode) -> None:
    sent = 0
    try:
        async for item in items:
            payload, about = encode(item)
            await call.send(payload, about)
            sent += 1
            if sent % _TURN == 0:
                await asyncio.sleep(0)
    except asyncio.CancelledError:
        # It may stand at a `yield`: it sees there what others see at an `await`.
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, RuntimeError):
            await items.athrow(asyncio.CancelledError())  # type: ignore[attr-defined]
        raise
    finally:
        with contextlib.suppress(RuntimeError):
            await items.aclose()  # type: ignore[attr-defined]
