"""Counts the calls in flight, and refuses new ones once a server drains."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc

from swath.errors import Unavailable
from swath.rpc.server.failures import end_call
from swath.rpc.server.handlers import MAKERS, answers_of, behaviour, shape


class InFlight:
    """Counts calls, and refuses them once it is closed.

    gRPC itself, when it stops, cancels calls that have arrived but have not begun, and a client does not retry a call
    that was cancelled. So a server is closed here first: calls that still arrive get UNAVAILABLE, which is retried.
    """

    def __init__(self) -> None:
        self._open = True
        self._inside = 0
        self._empty: asyncio.Event | None = None

    def enter(self) -> None:
        """Count a call, which then has to `leave`.

        Raises:
            Unavailable: It is closed.
        """
        if not self._open:
            raise Unavailable("the server goes away; call again", retry_after=1.0)
        self._inside += 1

    def leave(self) -> None:
        """Count a call no longer."""
        self._inside -= 1
        if self._empty is not None and not self._inside:
            self._empty.set()

    def close(self) -> None:
        """Refuse new calls from now on."""
        self._open = False

    async def empty(self, timeout_s: float) -> None:
        """Wait until no call is in flight, but not longer than a time in seconds."""
        if self._inside:
            self._empty = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)


def in_flight_handler(handler: grpc.RpcMethodHandler, in_flight: InFlight) -> grpc.RpcMethodHandler:
    """Return a handler whose calls are counted, and refused once the server drains.

    Args:
        handler: Answers; what it reads and writes stays as it is.
        in_flight: Counts.
    """
    inner, (_, answers_stream) = behaviour(handler), shape(handler)

    async def enter(context: grpc.aio.ServicerContext) -> None:
        try:
            in_flight.enter()
        except Unavailable as error:
            await end_call("", error, context)

    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        await enter(context)
        try:
            return await inner(request, context)
        finally:
            in_flight.leave()

    async def answer_with_stream(request: Any, context: grpc.aio.ServicerContext) -> None:
        await enter(context)
        try:
            async with answers_of(inner(request, context)) as answers:
                async for each in answers:
                    await context.write(each)
        finally:
            in_flight.leave()

    return MAKERS[shape(handler)](
        answer_with_stream if answers_stream else answer,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
