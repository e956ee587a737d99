"""How calls end that failed: what a client is told, and when it may try again."""

from __future__ import annotations

from typing import NoReturn

import grpc

from swath.errors import (
    Exhausted,
    InvalidInput,
    NotFound,
    Stopped,
    SwathError,
    TimedOut,
    Unavailable,
    Unsupported,
)
from swath.rpc.metadata import sendable
from swath.rpc.server.handlers import MAKERS
from swath.rpc.status import short
from swath.serve.exceptions import ApplicationNotFound, BackPressureError, RayServeException, RequestTimedOut
from swath.serve.exchange import Outcome
from swath.serve.front.requests import REQUEST_ID, Trailers, identify, no_application

_PUSHBACK = "grpc-retry-pushback-ms"
"""Clients of gRPC that try again by a policy wait so long: https://github.com/grpc/proposal/blob/master/A6-client-retries.md"""

_BUSY_S = 0.1
"""When a full queue is worth another try, where nobody knows better."""

_DETAILS_BYTES = 4096
"""Most bytes of a handler's own text; clients take 8 KiB of trailers by default."""

_BY_CODE: dict[int, type[SwathError]] = {
    1: Stopped,
    3: InvalidInput,
    4: TimedOut,
    5: NotFound,
    8: Exhausted,
    12: Unsupported,
    14: Unavailable,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def timed_out(seconds: float) -> str:
    """Return what a client is told whose call took longer than the server lets calls take."""
    return f"Request timed out after {float(seconds)}s."


def refusal(
    error: RayServeException, application: str, request_id: str, timeout_s: float | None
) -> tuple[SwathError, Trailers]:
    """Return what a call ends with that could not start, and its trailers.

    Args:
        error: Why.
        application: It was for.
        request_id: Of the call.
        timeout_s: Seconds that every call has.
    """
    trailers: Trailers = ((REQUEST_ID, request_id),)
    if isinstance(error, ApplicationNotFound):
        return no_application(application), trailers
    if isinstance(error, RequestTimedOut) and timeout_s is not None:
        return TimedOut(timed_out(timeout_s)), trailers
    after_s = error.retry_after_s
    if after_s is None and isinstance(error, BackPressureError):
        after_s = _BUSY_S
    told = _BY_CODE.get(error.code, SwathError)(error.message or type(error).__name__)
    told.retry_after = after_s
    return told, (*trailers, *pushback(after_s))


async def end(context: grpc.aio.ServicerContext, request_id: str, outcome: Outcome) -> None:
    """End a call as its handler has left it.

    Raises:
        grpc.aio.AbortError: With any status but OK: the call has ended.
        SwathError: Its trailers cannot be sent.
    """
    try:
        own = sendable(outcome.trailing_metadata)
    except ValueError as error:
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        raise SwathError(f"ValueError: {error}") from error
    trailers = ((REQUEST_ID, request_id), *own, *pushback(outcome.retry_after_s))
    details = short(outcome.details, _DETAILS_BYTES)
    code = _CODES.get(outcome.code, grpc.StatusCode.UNKNOWN)
    if code is not grpc.StatusCode.OK:
        await context.abort(code, details, trailers)
    context.set_trailing_metadata(trailers)
    if details:
        context.set_details(details)


def pushback(after_s: float | None) -> Trailers:
    """Return the trailer that says when a call is worth another try; none where nobody knows.

    Args:
        after_s: Seconds from now.
    """
    return () if after_s is None else ((_PUSHBACK, str(max(0, round(after_s * 1000)))),)


class UnknownMethods(grpc.GenericRpcHandler):
    """Answers what no service has: UNIMPLEMENTED, with the name of what was called. To be asked last."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def refuse(requests: object, context: grpc.aio.ServicerContext) -> NoReturn:
            identify(context)
            raise Unsupported(
                f"Method not found! No service here has {method}: grpc_servicer_functions lists those that are served",
                metadata={"method": method},
            )

        return MAKERS[True, True](refuse)
