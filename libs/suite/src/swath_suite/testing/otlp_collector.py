"""An OpenTelemetry collector that keeps what it is sent, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as pb_trace

from swath.errors import TimedOut
from swath_suite.process import free_ports

_POLL_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Span:
    """A span as it arrived.

    Attributes:
        service: Service that recorded it, such as "swath-training".
        replica: Process of that service, empty where it does not say.
        kind: "server" for a call that is answered, "client" for one that is made, "internal" for what else is done.
        name: What it is of.
        trace: Its trace's id, in hexadecimal.
        id: Its own, in hexadecimal.
        parent: That of the span it is part of; empty for none.
        attributes: Facts about it.
        failed: Whether its status is an error.
        seconds: How long it took.
    """

    service: str
    replica: str
    kind: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Any]
    failed: bool
    seconds: float


class Collector:
    """Takes spans by OTLP over gRPC; as a context manager, up and down. One that is started again has the same address.

    Args:
        delay_s: Seconds that each answer takes.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._port = free_ports(1)[0]
        self._server: grpc.Server | None = None
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """What SWATH_OTLP_ADDRESS is set to."""
        return f"127.0.0.1:{self._port}"

    @property
    def spans(self) -> list[Span]:
        """All spans so far, in the order of their arrival."""
        with self._lock:
            return list(self._spans)

    def of(self, trace: str) -> list[Span]:
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    def wait(self, trace: str, complete: Callable[[list[Span]], bool], timeout_s: float = 30.0) -> list[Span]:
        """Wait until the spans of a trace are all that is expected, and return them.

        Raises:
            TimedOut: They were not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not complete(found := self.of(trace)):
            if time.monotonic() > deadline:
                names = "; ".join(sorted(f"{span.service} {span.name}" for span in found))
                raise TimedOut(f"spans of trace {trace} were missing after {timeout_s:g} s; there are: {names}")
            time.sleep(_POLL_INTERVAL_S)
        return found

    def start(self) -> None:
        """Listen."""
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Servicer(self._take), self._server)
        self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """Be away; spans stay."""
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def _take(self, request: pb.ExportTraceServiceRequest) -> None:
        time.sleep(self._delay_s)
        arrived = list(_spans(request))
        with self._lock:
            self._spans += arrived

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Servicer(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, take: Callable[[pb.ExportTraceServiceRequest], None]) -> None:
        self._take = take

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802
        self._take(request)
        return pb.ExportTraceServiceResponse()


def _spans(request: pb.ExportTraceServiceRequest) -> Iterable[Span]:
    for group in request.resource_spans:
        source = _facts(group.resource.attributes)
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield Span(
                service=source.get("service.name", ""),
                replica=source.get("service.instance.id", ""),
                kind=pb_trace.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                name=span.name,
                trace=span.trace_id.hex(),
                id=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                attributes=_facts(span.attributes),
                failed=span.status.code == pb_trace.Status.STATUS_CODE_ERROR,
                seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            )


def _facts(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
