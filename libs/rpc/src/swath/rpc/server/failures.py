"""How a call ends that failed: errors become statuses, and leave without what they would keep in memory."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import NoReturn

import grpc
import structlog

from swath.errors import SwathError, system_error
from swath.rpc.status import DETAILS_KEY, code_of, details_of, short

_log = structlog.get_logger("swath.calls")


async def end_call(method: str, error: BaseException, context: grpc.aio.ServicerContext) -> NoReturn:
    """End a call that raised: with a status for an error, as it is for a cancellation or an abort.

    A SwathError becomes its own code with google.rpc details. Any other exception becomes INTERNAL with an id; its text
    stays in the log, under the same id.
    """
    if isinstance(error, grpc.aio.AbortError | asyncio.CancelledError) or not isinstance(error, Exception):
        raise error
    with contextlib.suppress(grpc.aio.InternalError):
        await _abort(method, error, context)
    # Nothing can be sent: the client has left, and its cancellation has not arrived yet.
    raise asyncio.CancelledError


def told_of(error: Exception, **about: str) -> SwathError:
    """Return what a client is told of an error, and log what it is not.

    Args:
        error: What was raised.
        about: What log lines say beside it, such as the method.
    """
    if not isinstance(error, SwathError) and (refusal := system_error(error)) is not None:
        # The disk, the table of files: what the operator has to look at. Where it was met is in the traceback.
        _log.warning("the system refuses", reason=refusal.reason, exc_info=error, **about)
        error = refusal
    if isinstance(error, SwathError):
        _log.info("call refused", code=error.code, reason=error.reason, error=short(error.message), **about)
        return error
    incident = uuid.uuid4().hex[:12]
    _log.error("call failed", incident=incident, exc_info=error, **about)
    return SwathError(f"internal error {incident}: the server's log has its cause", metadata={"incident": incident})


def forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an error and of all that led to it.

    gRPC keeps the error that aborts a call with the call, and frames hold the call, the request and all that was made
    of it: a cycle, which would stay until garbage is collected. That may be gigabytes later.
    """
    seen: set[int] = set()
    open_ends: list[BaseException | None] = [error]
    while open_ends:
        each = open_ends.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        open_ends += (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))


async def _abort(method: str, error: Exception, context: grpc.aio.ServicerContext) -> None:
    if isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError):
        # gRPC's own word that the call, or the server, is over.
        return
    told = told_of(error, method=method)
    await context.abort(code_of(told), short(told.message), (*_trailers(context), (DETAILS_KEY, details_of(told))))


def _trailers(context: grpc.aio.ServicerContext) -> tuple[tuple[str, str | bytes], ...]:
    """Return trailers that the handler has set already."""
    return tuple(context.trailing_metadata() or ())
