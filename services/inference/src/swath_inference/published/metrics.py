"""Prometheus metrics of published models, by model and version: as many as there are published. Imports Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from swath.published.model import State
from swath_inference.published.counts import Histogram, ModelCounts
from swath_inference.published.models import PublishedModels

_LABELS = ("model", "version")


class ModelMetrics(Collector):
    """Tells what calls of models were, and how far this replica is with each version.

    Args:
        models: What is published.
        counts: What the calls were.
    """

    def __init__(self, models: PublishedModels, counts: ModelCounts) -> None:
        self._models = models
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Return the samples. Called in another thread than calls are counted in."""
        requests = CounterMetricFamily(
            "swath_model_requests", "Calls of a published model that ended, by status.", labels=(*_LABELS, "code")
        )
        seconds = HistogramMetricFamily(
            "swath_model_request_seconds", "Seconds from the begin of a call of a model to its end.", labels=_LABELS
        )
        waited = HistogramMetricFamily(
            "swath_model_queue_seconds", "Seconds that a call of a model waited for the device.", labels=_LABELS
        )
        batches = HistogramMetricFamily(
            "swath_model_batch_calls",
            "Calls that a call of a model was computed with, itself among them.",
            labels=_LABELS,
        )
        for (name, number), counts in self._counts.read().items():
            labels = (name, str(number))
            for code, ended in counts.ended.copy().items():
                requests.add_metric((*labels, code), ended)
            _add(seconds, labels, counts.seconds)
            _add(waited, labels, counts.waited)
            _add(batches, labels, counts.batches)
        return requests, seconds, waited, batches, *self._of_versions()

    def _of_versions(self) -> Iterable[Metric]:
        ready = GaugeMetricFamily(
            "swath_model_ready", "Whether a version of a model is loaded: 1 or 0; -1 where it failed.", labels=_LABELS
        )
        memory = GaugeMetricFamily(
            "swath_model_memory_bytes", "Bytes of a version of a model that is loaded.", labels=_LABELS
        )
        share = GaugeMetricFamily(
            "swath_model_share_ratio",
            'What part of the calls of an alias of a model a version takes here; those that name none have alias "".',
            labels=("model", "alias", "version"),
        )
        for each in self._models.all() if self._models.known else ():
            labels = (each.name, str(each.version))
            ready.add_metric(labels, {State.READY: 1, State.FAILED: -1}.get(each.state, 0))
            memory.add_metric(labels, self._models.status(each).memory)
        for model in self._models.catalogue:
            for alias, route in self._models.routes(model.name).items():
                total = sum(part.percent for part in route.shares)
                for part in route.shares:
                    share.add_metric((model.name, alias, str(part.version)), part.percent / total)
        return ready, memory, share

    describe = collect


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    bounds = (*map(floatToGoString, histogram.bounds), "+Inf")
    ends = zip(bounds, accumulate(histogram.counts), strict=True)
    family.add_metric(labels, buckets=list(ends), sum_value=histogram.total)
