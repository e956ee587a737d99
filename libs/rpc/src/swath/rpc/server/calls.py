"""What happens around every call of a server, in one function per method.

The function is put around a method when the server is made: a call runs it and looks nothing up. It takes the message,
counts, continues the trace, admits, watches for a slow call, refuses what has too much metadata or comes too late,
parses, answers, and turns an error into a status.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from google.protobuf.message import DecodeError

from swath.errors import InvalidInput, TooLarge, Unsupported
from swath.rpc.metadata import Metadata, all_bytes, client_bytes
from swath.rpc.server.call_log import CallLog, CallRecord
from swath.rpc.server.failures import end_call, forget_frames
from swath.rpc.server.handlers import (
    EOF,
    KINDS,
    MAKERS,
    answers_of,
    behaviour,
    shape,
    status_of,
    takes_one_message,
    time_limit,
    writer_of,
)
from swath.rpc.server.in_flight import InFlight
from swath.rpc.server.methods import Methods
from swath.rpc.tracing import CallSpan, CallTraces

if TYPE_CHECKING:  # a server whose calls nobody counts needs no Prometheus
    from swath.rpc.server.metrics import CallMetrics

Admit = Callable[[grpc.aio.ServicerContext, Metadata], Awaitable[None]]
"""Refuses a call by raising, or sets who calls."""


class Access(Protocol):
    """Who may call what."""

    def admission(self, method: str) -> Admit | None:
        """Return what admits the calls of a method; None where everybody is admitted.

        Args:
            method: Full path.
        """
        ...


class Calls(grpc.GenericRpcHandler):
    """All methods of a server, and what happens around them. To be registered alone.

    gRPC has interceptors for this. They are asked in each call, for what is known when the server is made; and they see
    neither a call that carries no message nor the end of a stream whose client leaves.

    Args:
        handlers: Slices and whole services; of two that have a method the first one answers.
        later: Handlers whose methods come and go, asked where `handlers` have none. A method's handler is put into what
            is around it once: they are to return the same one as long as it is the same method.
        standard: Health and reflection: for everybody, until the server's end, and part of no trace.
        fallback: Answers what none of them does, for everybody.
        slow_s: Seconds after which a unary call is logged as slow.
        in_flight: Counts calls; one that is never closed if not given.
        max_metadata_bytes: Most metadata that a client may send; None where nobody counts.
        metrics: Count calls, if given. Unknown methods count as one, since clients may call anything.
        traces: Make calls part of their clients' traces, if given.
        access: Who may call the methods of `handlers` and `later`; everybody if not given.
        log_all: Whether every call of these leaves a line in the log.
    """

    def __init__(
        self,
        handlers: Iterable[Methods],
        *,
        later: Iterable[grpc.GenericRpcHandler] = (),
        standard: Iterable[Methods] = (),
        fallback: grpc.GenericRpcHandler | None = None,
        slow_s: float = 2.0,
        in_flight: InFlight | None = None,
        max_metadata_bytes: int | None = None,
        metrics: CallMetrics | None = None,
        traces: CallTraces | None = None,
        access: Access | None = None,
        log_all: bool = False,
    ) -> None:
        self._log = CallLog(slow_s)
        self._log_all = log_all
        self._later = tuple(later)
        self._put_around: dict[str, tuple[grpc.RpcMethodHandler, grpc.RpcMethodHandler]] = {}
        self._in_flight = in_flight or InFlight()
        self._max_metadata_bytes = max_metadata_bytes
        self._metrics = metrics
        self._traces = traces
        self._access = access
        self._fallback = fallback
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        for group, known in ((handlers, self._guarded), (standard, self._standard)):
            for methods in group:
                for path, handler in methods.by_path.items():
                    self._handlers.setdefault(path, known(path, handler))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        handler = self._handlers.get(handler_call_details.method) or self._added(handler_call_details)
        if handler is None and self._fallback is not None:
            unknown = self._fallback.service(handler_call_details)
            if unknown is not None:
                return self._unknown(handler_call_details.method, unknown)
        return handler

    def _added(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a method that came later, in what is around it."""
        path = details.method
        for each in self._later:
            if (handler := each.service(details)) is not None:
                known = self._put_around.get(path)
                if known is None or known[0] is not handler:
                    known = self._put_around[path] = (handler, self._guarded(path, handler))
                return known[1]
        return None

    def _guarded(self, path: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        admit = self._access.admission(path) if self._access is not None else None
        return self._around(path, handler, path, self._traces, self._in_flight, admit, log_all=self._log_all)

    def _standard(self, path: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        return self._around(path, handler, path, None, InFlight(), None)

    def _unknown(self, path: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        return self._around(path, handler, "/unknown/unknown", self._traces, self._in_flight, None)

    def _around(
        self,
        path: str,
        handler: grpc.RpcMethodHandler,
        counted_as: str,
        traces: CallTraces | None,
        in_flight: InFlight,
        admit: Admit | None,
        *,
        log_all: bool = False,
    ) -> grpc.RpcMethodHandler:
        requests_stream, answers_stream = shape(handler)
        inner = behaviour(handler)
        send, limited = writer_of(inner), time_limit(inner)
        # Requests are parsed and single answers written here: gRPC answers UNKNOWN to bytes that are no message, and
        # with an exception's text to what is no answer.
        parse, write = handler.request_deserializer or _as_it_is, handler.response_serializer or _as_it_is
        # How long an upload or a stream takes is up to the client; a unary call that takes long is up to the server.
        log = self._log.of(path, slow=not requests_stream and not answers_stream, all_calls=log_all)
        counts = None if self._metrics is None else self._metrics.of(KINDS[requests_stream, answers_stream], counted_as)
        trace = None if traces is None else traces.of(path)
        limit = self._max_metadata_bytes
        reads_metadata = admit is not None or trace is not None or limit is not None

        def read(data: Any, record: CallRecord) -> Any:
            if data is None:
                # gRPC's code for a wrong number of requests:
                # https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
                raise Unsupported("the call has ended without a message: this method takes exactly one, got none")
            try:
                request = parse(data)
            except DecodeError as error:
                raise InvalidInput(f"the request is not the message that this method takes: {error}") from error
            record.about(request)
            return request

        async def read_each(context: grpc.aio.ServicerContext, record: CallRecord) -> AsyncIterator[Any]:
            while (data := await _next(context)) is not None:
                if counts is not None:
                    counts.received += 1
                yield read(data, record)

        def end(code: grpc.StatusCode, started: float, record: CallRecord | None, span: CallSpan | None) -> None:
            if record is not None:
                record.end(code)
            if span is not None:
                span.end(code)
            if counts is not None:
                counts.end(code, time.monotonic() - started)

        async def answer(requests: Any, context: grpc.aio.ServicerContext) -> Any:
            data = None if requests_stream else await _next(context)
            started = time.monotonic()
            if counts is not None:
                counts.started += 1
                if data is not None:
                    counts.received += 1
            span = record = pending = response = None
            given_s = context.time_remaining()
            try:
                try:
                    metadata = (context.invocation_metadata() or ()) if reads_metadata else ()
                    if trace is not None:
                        span = trace.begin(metadata)
                    if admit is not None:
                        await admit(context, metadata)
                    record = log.begin(context, span)
                    if limit is not None:
                        _check_size(metadata, limit)
                    in_flight.enter()
                    try:
                        async with limited():
                            pending = inner(
                                read_each(context, record) if requests_stream else read(data, record), context
                            )
                            data = None  # What a message was parsed from may go before it is answered.
                            if answers_stream:
                                async with answers_of(pending) as answers:
                                    async for each in answers:
                                        await send(context, each)
                                        if counts is not None:
                                            counts.sent += 1
                            else:
                                response = await pending
                    finally:
                        in_flight.leave()
                    if not answers_stream:
                        record.about(response)
                        response = write(response)
                        if counts is not None:
                            counts.sent += 1
                except BaseException as error:
                    await end_call(path, error, context)
            except BaseException as error:
                end(status_of(context, error, given_s), started, record, span)
                # This frame is in the traceback that gRPC keeps.
                each = None
                del requests, context, data, record, pending, response, each
                forget_frames(error)
                raise
            end(status_of(context, None), started, record, span)
            return response

        # All requests are streams to gRPC: it forgets a call that should carry one message and carries none, and its
        # client would wait for ever. That costs nothing that can be measured.
        # Answers that are streams are written above: gRPC drops the generator of a call that is cancelled, and what it
        # does at its end would happen when it is collected, with a call that is no more: asked for its peer, it takes
        # the process down.
        wrapped = MAKERS[True, answers_stream]
        around = wrapped(answer, response_serializer=handler.response_serializer if answers_stream else None)
        if not requests_stream:
            around = takes_one_message(around)
        return around


async def _next(context: grpc.aio.ServicerContext) -> Any:
    """Return the next message of a client; None after its last.

    Raises:
        asyncio.CancelledError: The client has left.
    """
    data = await context.read()
    if data is EOF:
        # To gRPC, a client that leaves looks like one that has sent all, until its cancellation arrives: that is on its
        # way by then, and what is read once more arrives after it.
        data = await context.read()
    return None if data is EOF else data


def _check_size(metadata: Metadata, limit: int) -> None:
    if all_bytes(metadata) > limit and (size := client_bytes(metadata)) > limit:
        raise TooLarge(
            f"the call has {size} bytes of metadata (token, headers), more than {limit} (SWATH_MAX_METADATA_BYTES)"
        )


def _as_it_is(data: Any) -> Any:
    return data
