"""What happens around every call: errors become statuses, and slow or failed calls leave a line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from swath.errors import InvalidInput, SwathError
from swath.service.gate import Gate
from swath.service.status import code_of, details_of, short

DETAILS_KEY = "grpc-status-details-bin"

_log = structlog.get_logger("swath.calls")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors to statuses in one place, and logs calls that fail or take long.

    A SwathError becomes its own code with google.rpc details. Any other exception becomes INTERNAL with an id; its text
    stays in the log, where the same id finds it.

    Args:
        slow_s: Seconds after which a unary call is logged as slow.
        gate: What calls pass; one that is always open if not given.
    """

    def __init__(self, slow_s: float = 2.0, gate: Gate | None = None) -> None:
        self._slow_s = slow_s
        self._gate = gate or Gate()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        # Requests are parsed inside of the wrapped calls: what gRPC says to bytes that are no message is UNKNOWN.
        parse = _parser(handler.request_deserializer, many=handler.request_streaming)
        kwargs = {"response_serializer": handler.response_serializer}
        if handler.response_streaming:
            behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream
            wrapped = self._streaming(method, behaviour, parse)
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
            wrapped = self._single(method, behaviour, parse, watched=not handler.request_streaming)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return make(wrapped, **kwargs)

    def _single(
        self, method: str, behaviour: Callable[..., Awaitable[Any]], parse: Callable[[Any], Any], *, watched: bool
    ) -> Callable[..., Awaitable[Any]]:
        # How long an upload takes is the client's affair; a unary call that takes long is ours.
        async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
            started = time.monotonic()
            try:
                with self._gate.passing(method):
                    return await behaviour(parse(request), context)
            except BaseException as error:
                await _end(method, error, context)
            finally:
                if watched and (elapsed := time.monotonic() - started) > self._slow_s:
                    _log.warning("slow call", method=method, seconds=round(elapsed, 3), peer=context.peer())

        return call

    def _streaming(
        self, method: str, behaviour: Callable[..., Any], parse: Callable[[Any], Any]
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            try:
                with self._gate.passing(method):
                    answers = behaviour(parse(request), context)
                    # Handlers are async generators, or coroutines that write() themselves.
                    if hasattr(answers, "__aiter__"):
                        async with contextlib.aclosing(answers):
                            async for answer in answers:
                                yield answer
                    else:
                        await answers
            except GeneratorExit:
                raise
            except BaseException as error:
                await _end(method, error, context)

        return call


def _parser(deserialize: Callable[[bytes], Any] | None, *, many: bool) -> Callable[[Any], Any]:
    """Return what makes a handler's first argument of what arrives: bytes, or an iterator of bytes."""
    if deserialize is None:
        return lambda request: request

    def one(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            raise InvalidInput(f"the request is not the message that this method takes: {error}") from error

    async def each(requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for data in requests:
            yield one(data)

    return each if many else one


async def _end(method: str, error: BaseException, context: grpc.aio.ServicerContext) -> NoReturn:
    """End a call that raised: with a status for an error, as it is for a cancellation or an abort."""
    if isinstance(error, grpc.aio.AbortError | asyncio.CancelledError) or not isinstance(error, Exception):
        raise error
    if isinstance(error, SwathError):
        _log.info("call refused", method=method, code=error.code, reason=error.reason, text=short(error.message))
        trailers = (*_trailers(context), (DETAILS_KEY, details_of(error)))
        await context.abort(code_of(error), short(error.message), trailers)
    incident = uuid.uuid4().hex[:12]
    _log.error("call failed", method=method, incident=incident, exc_info=error)
    unknown = SwathError(f"internal error {incident}: the server's log has its cause", metadata={"incident": incident})
    await context.abort(
        grpc.StatusCode.INTERNAL, unknown.message, (*_trailers(context), (DETAILS_KEY, details_of(unknown)))
    )


def _trailers(context: grpc.aio.ServicerContext) -> tuple[tuple[str, str | bytes], ...]:
    """Return trailers that the handler has set already."""
    return tuple(context.trailing_metadata() or ())
