"""Traces: one per call, across the gateway, the services that it asks, and workers.

Context travels as W3C `traceparent`. Every call has a trace id, which log lines carry. Spans are recorded and sent
where the process has set a tracer provider (`swath.runtime.tracing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from random import Random
from typing import Any

import grpc
import structlog
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from swath.rpc.metadata import Metadata

_PROPAGATOR = TraceContextTextMapPropagator()
_KEYS = ("traceparent", "tracestate")
_PARENT = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_unrecorded: ContextVar[_Unrecorded | None] = ContextVar("unrecorded", default=None)
"""Context of a call without a span."""
_session: ContextVar[str] = ContextVar("session", default="")
"""Session that the present call is about, empty where none is known."""
_NO_SPAN: AbstractContextManager[trace.Span] = nullcontext(trace.INVALID_SPAN)
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
    return _carrier().get("traceparent", "")


def trace_of(parent: str) -> str:
    """Return the trace id in a `traceparent`, empty where there is none."""
    return _trace_id(_context(parent))


def call_facts() -> dict[str, str]:
    """Return what log lines of the present call carry: its trace and its session, as far as they are known."""
    facts = {"trace": trace_of(traceparent()), "session": _session.get()}
    return {key: value for key, value in facts.items() if value} | structlog.contextvars.get_contextvars()


def about_session(session: str) -> None:
    """Have log lines of the present call carry a session from now on."""
    _session.set(session)


def span(name: str, parent: str = "", **attributes: str | int | float) -> AbstractContextManager[trace.Span]:
    """Record a span around a block; what the block raises is its status. In a call without a span nothing is made.

    Args:
        name: What is done.
        parent: `traceparent` of what it is part of, where that is not the present call.
        attributes: Facts about it.
    """
    if not parent and _unrecorded.get() is not None:
        return _NO_SPAN
    above = _context(parent) if parent else None
    return trace.get_tracer("swath").start_as_current_span(name, context=above, attributes=attributes)


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
    token, call, session = context_api.attach(above), _unrecorded.set(None), _session.set("")
    try:
        with structlog.contextvars.bound_contextvars(**facts):
            yield
    finally:
        _session.reset(session)
        _unrecorded.reset(call)
        context_api.detach(token)


class CallTraces:
    """Makes the calls of a server part of their clients' traces, or begins traces.

    Spans go to the tracer provider that is set when this is made. Without one there are none: a call has its client's
    context, or a new one, for log lines and for the calls that are made for it.
    """

    def __init__(self) -> None:
        tracer = trace.get_tracer("swath")
        self._tracer = None if isinstance(tracer, trace.ProxyTracer | trace.NoOpTracer) else tracer
        # Its own, which nobody's seed concerns.
        self._random = Random()

    def of(self, method: str) -> MethodTraces:
        """Return what traces the calls of a method.

        Args:
            method: Full path.
        """
        return MethodTraces(self._tracer, self._random, method)


class MethodTraces:
    """What traces the calls of one method."""

    def __init__(self, tracer: trace.Tracer | None, random: Random, method: str) -> None:
        service, _, name = method[1:].partition("/")
        self._tracer = tracer
        self._random = random
        self._name = method[1:]
        self._attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

    def begin(self, metadata: Metadata) -> CallSpan | None:
        """Make the present task, which is its call's alone, part of the call's trace.

        Args:
            metadata: Of the call.

        Returns:
            The span that is recorded of it, None if none is.
        """
        if self._tracer is None:
            _unrecorded.set(_Unrecorded(metadata, self._random))
            return None
        above = _PROPAGATOR.extract(_given(metadata))
        current = self._tracer.start_span(self._name, context=above, kind=SpanKind.SERVER, attributes=self._attributes)
        context_api.attach(trace.set_span_in_context(current))
        return CallSpan(current)


class CallSpan:
    """The span of one call."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, key: str, value: str) -> None:
        """Add a fact."""
        self._span.set_attribute(key, value)

    def end(self, code: grpc.StatusCode) -> None:
        """End with the status that the call has ended with."""
        self._span.set_attribute("rpc.grpc.status_code", int(code.value[0]))
        if code in _FAILURES:
            self._span.set_status(StatusCode.ERROR, code.name)
        self._span.end()


class PassOnTrace(grpc.aio.UnaryUnaryClientInterceptor):
    """Sends the present call's context with the calls that are made for it."""

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        if carrier := _carrier():
            before = client_call_details
            client_call_details = grpc.aio.ClientCallDetails(
                method=before.method,
                timeout=before.timeout,
                metadata=grpc.aio.Metadata(*(before.metadata or ()), *carrier.items()),
                credentials=before.credentials,
                wait_for_ready=before.wait_for_ready,
            )
        return await continuation(client_call_details, request)


def _carrier() -> dict[str, str]:
    """Return the present context as metadata."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    if not carrier and (call := _unrecorded.get()) is not None:
        return dict(call.carrier())
    return carrier


def _given(metadata: Metadata) -> dict[str, str]:
    return {key: str(value) for key, value in metadata if key in _KEYS}


class _Unrecorded:
    """The context of a call of which nothing is recorded, made when somebody asks for it: few calls are."""

    __slots__ = ("_carrier", "_metadata", "_random")

    def __init__(self, metadata: Metadata, random: Random) -> None:
        self._metadata = metadata
        self._random = random
        self._carrier: dict[str, str] | None = None

    def carrier(self) -> dict[str, str]:
        """Return it as metadata."""
        if self._carrier is None:
            self._carrier = _client_s_or_new(_given(self._metadata), self._random)
        return self._carrier


def _client_s_or_new(given: dict[str, str], random: Random) -> dict[str, str]:
    parent = given.get("traceparent")
    if parent is not None:
        if _PARENT.fullmatch(parent):
            return given
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, context=_PROPAGATOR.extract(given, context=Context()))
        if carrier:
            return carrier
    return {"traceparent": f"00-{random.getrandbits(128):032x}-{random.getrandbits(64):016x}-00"}


def _context(parent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": parent} if parent else {}, context=Context())


def _trace_id(context: Context) -> str:
    found = trace.get_current_span(context).get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else ""


INTERCEPTORS: Sequence[grpc.aio.ClientInterceptor] = (PassOnTrace(),)
"""For channels to other services."""
