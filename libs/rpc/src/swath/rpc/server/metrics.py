"""Prometheus metrics of a process: its calls under the usual names, and the figures of its services."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIServer

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from swath.errors import Unavailable
from swath.rpc.addresses import Address

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Readings = Callable[[], float | Mapping[str, float]]
"""Returns a figure, or figures by the values of a label. Called in another thread at each scrape: must not wait."""


class Metrics:
    """The metrics of a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.calls = CallMetrics(self.registry)
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None

    def gauge(self, name: str, text: str, read: Readings, *, label: str | None = None) -> None:
        """Publish a figure that goes up and down.

        Args:
            name: Begins with `swath_` and ends with its unit.
            text: What it is.
            read: Returns it.
            label: Name of the label, where `read` returns figures by its values.
        """
        self.registry.register(_Reader(GaugeMetricFamily, name, text, read, label))

    def counter(self, name: str, text: str, read: Readings, *, label: str | None = None) -> None:
        """Publish a figure that only grows; arguments as for `gauge`, the name without `_total`."""
        self.registry.register(_Reader(CounterMetricFamily, name, text, read, label))

    def serve(self, address: Address) -> None:
        """Answer scrapes on a port, at any path.

        Raises:
            Unavailable: The port is taken.
        """
        try:
            self._server, self._thread = start_http_server(address.port, address.host, self.registry)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {address} for metrics: {error.strerror}; choose another SWATH_METRICS_PORT"
            ) from error

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class CallMetrics:
    """Counts of calls, under the names that dashboards for gRPC know."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter("grpc_server_started", "Calls that began.", _LABELS, registry=registry)
        self.handled = Counter(
            "grpc_server_handled", "Calls that ended, by status.", (*_LABELS, "grpc_code"), registry=registry
        )
        self.received = Counter("grpc_server_msg_received", "Messages received.", _LABELS, registry=registry)
        self.sent = Counter("grpc_server_msg_sent", "Messages sent.", _LABELS, registry=registry)
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from the begin of a call to its end.",
            _LABELS,
            buckets=_BUCKETS,
            registry=registry,
        )

    def of(self, kind: str, method: str) -> MethodCounts:
        """Return the counts of a method.

        Args:
            kind: Of its calls, by the name in `KINDS`.
            method: Full path.
        """
        service, _, name = method[1:].partition("/")
        return MethodCounts(self, (kind, service, name))


class MethodCounts:
    """Counts of the calls of one method, however they end."""

    def __init__(self, calls: CallMetrics, labels: tuple[str, str, str]) -> None:
        self._handled = calls.handled
        self._labels = labels
        self._begun = calls.started.labels(*labels)
        self._seconds = calls.seconds.labels(*labels)
        self._ends: dict[grpc.StatusCode, Counter] = {}
        self.received = calls.received.labels(*labels).inc
        self.sent = calls.sent.labels(*labels).inc

    def started(self) -> float:
        """Count a call that begins; return what `ended` has to be told."""
        self._begun.inc()
        return time.monotonic()

    def ended(self, code: grpc.StatusCode, started: float) -> None:
        """Count a call that has ended."""
        end = self._ends.get(code)
        if end is None:
            end = self._ends[code] = self._handled.labels(*self._labels, _SPELLED[code])
        end.inc()
        self._seconds.observe(time.monotonic() - started)


# As the metrics of gRPC's other languages spell them.
_SPELLED = {code: "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}


class _Reader:
    """A collector of one figure that is read when it is asked for."""

    def __init__(self, family: Any, name: str, text: str, read: Readings, label: str | None) -> None:
        self._family = family
        self._name = name
        self._text = text
        self._read = read
        self._label = label

    def describe(self) -> Iterable[Any]:
        return [self._new()]

    def collect(self) -> Iterable[Any]:
        family = self._new()
        figures = self._read()
        if isinstance(figures, Mapping):
            for value, figure in figures.items():
                family.add_metric([value], figure)
        else:
            family.add_metric([], figures)
        return [family]

    def _new(self) -> Any:
        return self._family(self._name, self._text, labels=[self._label] if self._label else [])
