"""Prometheus metrics of a process: its calls under the usual names, and the figures of its services."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIServer

import grpc
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from swath.errors import Unavailable
from swath.rpc.addresses import Address

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BOUNDS = tuple(floatToGoString(bound) for bound in (*_BUCKETS, float("inf")))

Readings = Callable[[], float | Mapping[str, float]]
"""Returns a figure, or figures by the values of a label. Called in another thread at each scrape: must not wait."""


Distribution = Callable[[], tuple[Sequence[int], float]]
"""Returns how often a figure was within each bound, and the sum of the figures; as `Readings` otherwise."""


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

    def histogram(self, name: str, text: str, bounds: Sequence[float], read: Distribution) -> None:
        """Publish how often a figure had which size.

        Args:
            name: Begins with `swath_`.
            text: What the figure is.
            bounds: Upper bounds, in order, without the infinite one.
            read: Returns how often the figure was up to each bound and above the one before, then above all; and its
                sum.
        """
        self.registry.register(_HistogramReader(name, text, bounds, read))

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


class CallMetrics(Collector):
    """Counts of calls, under the names that dashboards for gRPC know.

    Plain numbers, of which a scrape makes samples: the library's own counters lock and check at each step, which takes
    longer than all else that is around a call.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._methods: dict[tuple[str, str, str], MethodCounts] = {}
        registry.register(self)

    def of(self, kind: str, method: str) -> MethodCounts:
        """Return the counts of a method.

        Args:
            kind: Of its calls, by the name in `KINDS`.
            method: Full path.
        """
        service, _, name = method[1:].partition("/")
        return self._methods.setdefault((kind, service, name), MethodCounts())

    def collect(self) -> Iterable[Metric]:
        """Return the samples. Called in another thread than calls are counted in."""
        started = CounterMetricFamily("grpc_server_started", "Calls that began.", labels=_LABELS)
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls that ended, by status.", labels=(*_LABELS, "grpc_code")
        )
        received = CounterMetricFamily("grpc_server_msg_received", "Messages received.", labels=_LABELS)
        sent = CounterMetricFamily("grpc_server_msg_sent", "Messages sent.", labels=_LABELS)
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Seconds from the begin of a call to its end.", labels=_LABELS
        )
        for labels, counts in self._methods.copy().items():
            started.add_metric(labels, counts.started)
            for code, ended in counts.ended.copy().items():
                handled.add_metric((*labels, spelled(code)), ended)
            received.add_metric(labels, counts.received)
            sent.add_metric(labels, counts.sent)
            counts.seconds.sample(seconds, labels)
        return started, handled, received, sent, seconds

    describe = collect


class Seconds:
    """How often something took how long."""

    __slots__ = ("_by_bucket", "_total")

    def __init__(self) -> None:
        self._total = 0.0
        self._by_bucket = [0] * len(_BOUNDS)

    def add(self, seconds: float) -> None:
        """Count once."""
        self._total += seconds
        self._by_bucket[bisect_left(_BUCKETS, seconds)] += 1

    def sample(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add it to a metric that is asked for. May be another thread than the one that counts."""
        ends = zip(_BOUNDS, accumulate(self._by_bucket), strict=True)
        family.add_metric(labels, buckets=list(ends), sum_value=self._total)


class MethodCounts:
    """Counts of the calls of one method.

    Attributes:
        started: Calls that began.
        received: Messages.
        sent: Messages.
        ended: Calls, by status.
        seconds: What the calls that ended took.
    """

    __slots__ = ("ended", "received", "seconds", "sent", "started")

    def __init__(self) -> None:
        self.started = self.received = self.sent = 0
        self.ended: dict[grpc.StatusCode, int] = {}
        self.seconds = Seconds()

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call that has ended, however it has."""
        self.ended[code] = self.ended.get(code, 0) + 1
        self.seconds.add(seconds)


# As the metrics of gRPC's other languages spell them.
_SPELLED = {code: "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}


def spelled(code: grpc.StatusCode) -> str:
    """Return a status code as metrics have it."""
    return _SPELLED[code]


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


class _HistogramReader:
    """A collector of a histogram that is read when it is asked for."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], read: Distribution) -> None:
        self._name = name
        self._text = text
        self._bounds = tuple(floatToGoString(bound) for bound in (*bounds, float("inf")))
        self._read = read

    def describe(self) -> Iterable[Any]:
        return [HistogramMetricFamily(self._name, self._text)]

    def collect(self) -> Iterable[Any]:
        counts, total = self._read()
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], buckets=list(zip(self._bounds, accumulate(counts), strict=True)), sum_value=total)
        return [family]
