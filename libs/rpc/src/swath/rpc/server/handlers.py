"""gRPC method handlers of all four kinds, taken apart and put together again, and how their calls end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, TypeVar, cast

import grpc

from swath.errors import TimedOut

EOF: Any = cast(Any, grpc.aio).EOF  # its type stubs lack it
"""What a context's `read` returns after the last message."""

MAKERS: dict[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""Makers of handlers, by whether requests and whether answers are streams."""

KINDS = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}
"""Names of the four kinds of call, as the usual metrics have them."""


def shape(handler: grpc.RpcMethodHandler) -> tuple[bool, bool]:
    """Return whether requests and whether answers are streams."""
    return bool(handler.request_streaming), bool(handler.response_streaming)


def behaviour(handler: grpc.RpcMethodHandler) -> Callable[..., Any]:
    """Return the function that answers."""
    return {
        (False, False): handler.unary_unary,
        (False, True): handler.unary_stream,
        (True, False): handler.stream_unary,
        (True, True): handler.stream_stream,
    }[shape(handler)]


_ONE_MESSAGE = "_swath_one_message"


def takes_one_message(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """Mark a handler that reads a stream of requests of which there is one: the call may begin when that has come."""
    setattr(handler, _ONE_MESSAGE, True)
    return handler


def begins_with_message(handler: grpc.RpcMethodHandler) -> bool:
    """Return whether a call has nothing to do before its first message has come."""
    return not handler.request_streaming or getattr(handler, _ONE_MESSAGE, False)


@asynccontextmanager
async def answers_of(result: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Iterate over what a function that answers with a stream gives, in an `async with` block.

    Args:
        result: An async generator, which is closed when the block is left and not whenever it is collected; or a
            coroutine that writes its answers itself.
    """
    if hasattr(result, "__aiter__"):
        async with aclosing(result):
            yield result
    else:
        yield _written(result)


async def _written(answering: Awaitable[None]) -> AsyncIterator[Any]:
    await answering
    for answer in ():
        yield answer


_UNREAD = "_swath_unread"
_LIMIT = "_swath_limit"

Method = TypeVar("Method", bound=Callable[..., Any])


def ends_unread(limit: Callable[[Any], float], setting: str) -> Callable[[Method], Method]:
    """Mark a servicer's method whose call ends, with DEADLINE_EXCEEDED, when its client leaves an answer unread.

    For answers that hold much of the server while they wait. They are to be small, since the time is for one of them.

    Args:
        limit: Returns, of the servicer, after how many seconds.
        setting: Name of the variable that says so.
    """

    def mark(method: Method) -> Method:
        setattr(method, _UNREAD, (limit, setting))
        return method

    return mark


def writer_of(method: Callable[..., Any]) -> Callable[[grpc.aio.ServicerContext, Any], Awaitable[None]]:
    """Return what writes one of the answers of a method that answers with a stream.

    Raises, when it is called:
        TimedOut: The client left the answer unread; see `ends_unread`. The status waits behind it on its way.
    """
    found = getattr(method, _UNREAD, None)
    if found is None:
        return _write
    limit, setting = found
    seconds = limit(getattr(method, "__self__", None))

    async def write(context: grpc.aio.ServicerContext, answer: Any) -> None:
        try:
            async with asyncio.timeout(seconds):
                await context.write(answer)
        except TimeoutError:
            raise TimedOut(f"the client has left an answer unread for {seconds:g} s ({setting})") from None

    return write


async def _write(context: grpc.aio.ServicerContext, answer: Any) -> None:
    await context.write(answer)


def ends_after(seconds: float, text: str) -> Callable[[Method], Method]:
    """Mark a function that answers: its calls end after a time, with DEADLINE_EXCEEDED, whatever they do.

    Args:
        seconds: From when its message is there to the end of the answer, a stream's too.
        text: For the client.
    """

    def mark(method: Method) -> Method:
        setattr(method, _LIMIT, (seconds, text))
        return method

    return mark


def time_limit(method: Callable[..., Any]) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Return what is to be around a call of a function that answers; see `ends_after`.

    Raises, when the block is left:
        TimedOut: Its time was over.
    """
    found = getattr(method, _LIMIT, None)
    if found is None:
        return nullcontext
    seconds, text = found

    @asynccontextmanager
    async def limited() -> AsyncIterator[None]:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise TimedOut(text) from None
            raise

    return limited


_ROUNDED = 0.011
_ROUNDED_S = 0.002


def status_of(
    context: grpc.aio.ServicerContext, error: BaseException | None, given_s: float | None = None
) -> grpc.StatusCode:
    """Return the status that a call ends with.

    Args:
        context: The call's.
        error: What it raised, None if nothing.
        given_s: Seconds that its client gave it, None for all it wants.
    """
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        # A client that leaves, also in the middle of a stream; or whose time is over.
        remaining = context.time_remaining()
        # On the wire the time is rounded up, by one per cent at most: the client's own clock is there first.
        late = remaining is not None and remaining <= _ROUNDED_S + (given_s or 0.0) * _ROUNDED
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
    code = context.code()
    if isinstance(code, int):
        code = next((each for each in grpc.StatusCode if each.value[0] == code), grpc.StatusCode.UNKNOWN)
    if error is not None and code in (None, grpc.StatusCode.OK):
        return grpc.StatusCode.UNKNOWN
    return code or grpc.StatusCode.OK
