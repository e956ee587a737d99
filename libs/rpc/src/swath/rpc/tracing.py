"""Traces: one per call, across the gateway, the services that it asks, and workers.

Context travels as W3C `traceparent`. Every call has a trace id, which log lines carry. Spans are recorded and sent
where the process has set a tracer provider (`swath.runtime.tracing`).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from swath.rpc.server.handlers import Continuation, answers_of, behaviour, shape, status_of, with_behaviour

_PROPAGATOR = TraceContextTextMapPropagator()
_KEYS = ("traceparent", "tracestate")
_FAILURES = frozenset(
    (
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
"""Statuses that OpenTelemetry calls errors of the server. The others, such as NOT_FOUND, are errors of the client: the
gateway's span has them."""


def traceparent() -> str:
    """Return the present call's context for another process, empty where there is none."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


def trace_of(parent: str) -> str:
    """Return the trace id in a `traceparent`, empty where there is none."""
    return _trace_id(_context(parent))


@contextmanager
def span(name: str, parent: str = "", **attributes: str | int | float) -> Iterator[trace.Span]:
    """Record a span around a block; what the block raises is its status.

    Args:
        name: What is done.
        parent: `traceparent` of what it is part of, where that is not the present call.
        attributes: Facts about it.
    """
    above = _context(parent) if parent else None
    with trace.get_tracer("swath").start_as_current_span(name, context=above, attributes=attributes) as current:
        yield current


@contextmanager
def part_of(parent: str, **facts: str) -> Iterator[None]:
    """Make a block part of a call that may be over, or another process's: its spans, its calls, its log lines.

    Args:
        parent: `traceparent` of the call, empty where it is not known.
        facts: What log lines carry beside the trace.
    """
    above = _context(parent)
    if found := _trace_id(above):
        facts["trace"] = found
    token = context_api.attach(above)
    try:
        with structlog.contextvars.bound_contextvars(**facts):
            yield
    finally:
        context_api.detach(token)


class TracingInterceptor(grpc.aio.ServerInterceptor):
    """Makes each call part of its client's trace, or begins one. Registered before what writes log lines."""

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith("/grpc."):
            return handler
        metadata = handler_call_details.invocation_metadata or ()
        carrier = {key: str(value) for key, value in metadata if key in _KEYS}
        inner = behaviour(handler)

        async def single(request: Any, context: grpc.aio.ServicerContext) -> Any:
            with _call(method, carrier, context):
                return await inner(request, context)

        async def stream(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            with _call(method, carrier, context):
                async with answers_of(inner(request, context)) as answers:
                    async for answer in answers:
                        yield answer

        return with_behaviour(handler, stream if shape(handler)[1] else single)


class PassOnTrace(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends the present call's context with the calls that are made for it."""

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        if carrier:
            before = client_call_details
            client_call_details = grpc.aio.ClientCallDetails(
                method=before.method,
                timeout=before.timeout,
                metadata=grpc.aio.Metadata(*(before.metadata or ()), *carrier.items()),
                credentials=before.credentials,
                wait_for_ready=before.wait_for_ready,
            )
        return await continuation(client_call_details, request)


@contextmanager
def _call(method: str, carrier: dict[str, str], context: grpc.aio.ServicerContext) -> Iterator[None]:
    service, _, name = method[1:].partition("/")
    current = trace.get_tracer("swath").start_span(
        method[1:],
        context=_PROPAGATOR.extract(carrier),
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
    )
    if not current.get_span_context().is_valid:
        # Without a collector nothing is recorded; the id still ties log lines together.
        current = NonRecordingSpan(_new())
    trace_id = trace.format_trace_id(current.get_span_context().trace_id)
    with (
        trace.use_span(current, end_on_exit=True, record_exception=False, set_status_on_exception=False),
        structlog.contextvars.bound_contextvars(trace=trace_id),
    ):
        try:
            yield
        except BaseException as error:
            _set_status(current, status_of(context, error))
            raise
        _set_status(current, status_of(context, None))


def _set_status(current: trace.Span, code: grpc.StatusCode) -> None:
    current.set_attribute("rpc.grpc.status_code", int(code.value[0]))
    if code in _FAILURES:
        current.set_status(StatusCode.ERROR, code.name)


def _context(parent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": parent} if parent else {}, context=Context())


def _trace_id(context: Context) -> str:
    found = trace.get_current_span(context).get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else ""


def _new() -> SpanContext:
    return SpanContext(
        trace_id=int.from_bytes(secrets.token_bytes(16)) or 1,
        span_id=int.from_bytes(secrets.token_bytes(8)) or 1,
        is_remote=False,
        trace_flags=TraceFlags(0),
    )


INTERCEPTORS: Sequence[grpc.aio.ClientInterceptor] = (PassOnTrace(),)
"""For channels to other services."""
