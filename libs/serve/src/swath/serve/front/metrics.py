"""Figures of applications, how long calls take to their first answer and to their end, and of deployments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import grpc
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from swath.rpc.server.metrics import Seconds, spelled
from swath.serve.exchange import Load

_LABELS = ("application", "grpc_service", "grpc_method")
_DEPLOYMENT = ("application", "deployment")


class ApplicationMetrics(Collector):
    """Counts of calls by application and method.

    Args:
        registry: Where they are published.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: dict[tuple[str, str, str], ApplicationCounts] = {}
        registry.register(self)

    def of(self, application: str, path: str) -> ApplicationCounts:
        """Return the counts of an application's method; its names come from what is deployed, never from a client."""
        service, _, name = path[1:].partition("/")
        key = (application, service, name)
        return self._counts.get(key) or self._counts.setdefault(key, ApplicationCounts())

    def collect(self) -> Iterable[Metric]:
        """Return the samples. Called in another thread than calls are counted in."""
        running = GaugeMetricFamily(
            "swath_application_calls_in_flight", "Calls that wait or run, by application.", labels=_LABELS
        )
        ended = CounterMetricFamily(
            "swath_application_calls", "Calls that ended, by application and status.", labels=(*_LABELS, "grpc_code")
        )
        first = HistogramMetricFamily(
            "swath_application_first_answer_seconds",
            "Seconds from the begin of a call to its first answer, the queue included.",
            labels=_LABELS,
        )
        whole = HistogramMetricFamily(
            "swath_application_call_seconds", "Seconds from the begin of a call to its end.", labels=_LABELS
        )
        for labels, counts in self._counts.copy().items():
            codes = counts.ended.copy()
            running.add_metric(labels, counts.started - sum(codes.values()))
            for code, number in codes.items():
                ended.add_metric((*labels, spelled(code)), number)
            counts.first.sample(first, labels)
            counts.whole.sample(whole, labels)
        return running, ended, first, whole

    describe = collect


class ApplicationCounts:
    """Counts of the calls of one method of one application.

    Attributes:
        started: Calls that began.
        ended: Calls, by status.
        first: What it took to the first answer.
        whole: What it took to the end.
    """

    __slots__ = ("ended", "first", "started", "whole")

    def __init__(self) -> None:
        self.started = 0
        self.ended: dict[grpc.StatusCode, int] = {}
        self.first = Seconds()
        self.whole = Seconds()

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call that has ended, however it has."""
        self.ended[code] = self.ended.get(code, 0) + 1
        self.whole.add(seconds)


class DeploymentMetrics(Collector):
    """What each deployment has to do.

    Args:
        registry: Where it is published.
        loads: Returns it; called in another thread.
    """

    def __init__(self, registry: CollectorRegistry, loads: Callable[[], Sequence[Load]]) -> None:
        self._loads = loads
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return the names; asked when this is registered."""
        return self._sampled(())

    def collect(self) -> Iterable[Metric]:
        """Return the samples."""
        return self._sampled(self._loads())

    def _sampled(self, loads: Sequence[Load]) -> Iterable[Metric]:
        queued = GaugeMetricFamily(
            "swath_deployment_queue_length", "Calls that wait for a replica, by deployment.", labels=_DEPLOYMENT
        )
        ongoing = GaugeMetricFamily(
            "swath_deployment_calls_ongoing", "Calls that replicas run, by deployment.", labels=_DEPLOYMENT
        )
        replicas = GaugeMetricFamily(
            "swath_deployment_replicas", "Replicas that take calls, by deployment.", labels=_DEPLOYMENT
        )
        models = GaugeMetricFamily(
            "swath_deployment_models", "Multiplexed models in the replicas of a deployment.", labels=_DEPLOYMENT
        )
        for each in loads:
            labels = (each.application, each.deployment)
            queued.add_metric(labels, each.queued)
            ongoing.add_metric(labels, each.ongoing)
            replicas.add_metric(labels, each.replicas)
            models.add_metric(labels, each.models)
        return queued, ongoing, replicas, models
