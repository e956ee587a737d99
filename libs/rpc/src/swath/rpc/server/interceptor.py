"""What happens around every call: errors become statuses, and log lines are written."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from swath.errors import InvalidInput, SwathError, TooLarge, Unsupported, system_error
from swath.rpc.metadata import client_bytes
from swath.rpc.server.call_log import CallLog
from swath.rpc.server.handlers import MAKERS, Continuation, answers_of, behaviour, shape
from swath.rpc.server.in_flight import InFlight
from swath.rpc.status import DETAILS_KEY, code_of, details_of, short

_log = structlog.get_logger("swath.calls")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors to statuses in one place, and logs calls that fail or take long.

    A SwathError becomes its own code with google.rpc details. Any other exception becomes INTERNAL with an id; its text
    stays in the log, under the same id.

    Args:
        slow_s: Seconds after which a unary call is logged as slow.
        in_flight: Counts the calls; one that is never closed if not given.
        max_metadata_bytes: Most metadata that a client may send; None where nobody counts.
    """

    def __init__(
        self, slow_s: float = 2.0, in_flight: InFlight | None = None, max_metadata_bytes: int | None = None
    ) -> None:
        self._max_metadata_bytes = max_metadata_bytes
        self._slow_s = slow_s
        self._in_flight = in_flight or InFlight()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        excess = self._excess(handler_call_details)
        requests_stream, answers_stream = shape(handler)
        # Requests are parsed inside of the wrapped calls: gRPC answers UNKNOWN to bytes that are no message.
        parse = _parser(handler.request_deserializer, many=requests_stream)
        # How long an upload or a stream takes is up to the client; a unary call that takes long is up to the server.
        slow_s = None if requests_stream or answers_stream else self._slow_s
        inner = behaviour(handler)

        async def single(request: Any, context: grpc.aio.ServicerContext) -> Any:
            with CallLog(method, context, slow_s) as record:
                try:
                    if excess is not None:
                        raise excess
                    with self._in_flight.passing(method):
                        answer = await inner(parse(request, record), context)
                    record.about(answer)
                    return answer
                except BaseException as error:
                    await end_call(method, error, context)

        async def stream(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            with CallLog(method, context, slow_s) as record:
                try:
                    if excess is not None:
                        raise excess
                    with self._in_flight.passing(method):
                        async with answers_of(inner(parse(request, record), context)) as answers:
                            async for answer in answers:
                                yield answer
                except GeneratorExit:
                    raise
                except BaseException as error:
                    await end_call(method, error, context)

        return MAKERS[shape(handler)](
            stream if answers_stream else single, response_serializer=handler.response_serializer
        )

    def _excess(self, details: grpc.HandlerCallDetails) -> TooLarge | None:
        limit = self._max_metadata_bytes
        if limit is None or (size := client_bytes(details.invocation_metadata or ())) <= limit:
            return None
        return TooLarge(
            f"the call has {size} bytes of metadata (token, headers), more than {limit} (SWATH_MAX_METADATA_BYTES)"
        )


def _parser(deserialize: Callable[[bytes], Any] | None, *, many: bool) -> Callable[[Any, CallLog], Any]:
    """Return what makes a handler's first argument of what arrives: bytes, or an iterator of bytes."""

    def one(data: Any, record: CallLog) -> Any:
        if data is None:
            # gRPC's code for a wrong number of requests: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
            raise Unsupported("the call has ended without a message: this method takes exactly one, got none")
        try:
            request = data if deserialize is None else deserialize(data)
        except DecodeError as error:
            raise InvalidInput(f"the request is not the message that this method takes: {error}") from error
        record.about(request)
        return request

    async def each(requests: AsyncIterator[Any], record: CallLog) -> AsyncIterator[Any]:
        async for data in requests:
            yield one(data, record)

    return each if many else one


async def end_call(method: str, error: BaseException, context: grpc.aio.ServicerContext) -> NoReturn:
    """End a call that raised: with a status for an error, as it is for a cancellation or an abort.

    Every interceptor ends calls by this, so that errors look the same wherever they arise.
    """
    if isinstance(error, grpc.aio.AbortError | asyncio.CancelledError) or not isinstance(error, Exception):
        raise error
    with contextlib.suppress(grpc.aio.InternalError):
        await _abort(method, error, context)
    # Nothing can be sent: the client has left, and its cancellation has not arrived yet.
    raise asyncio.CancelledError


async def _abort(method: str, error: Exception, context: grpc.aio.ServicerContext) -> None:
    if isinstance(error, grpc.aio.InternalError):
        return
    if not isinstance(error, SwathError) and (refusal := system_error(error)) is not None:
        # The disk, the table of files: what the operator has to look at. Where it was met is in the traceback.
        _log.warning("the system refuses", method=method, reason=refusal.reason, exc_info=error)
        error = refusal
    if isinstance(error, SwathError):
        _log.info("call refused", method=method, code=error.code, reason=error.reason, error=short(error.message))
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
