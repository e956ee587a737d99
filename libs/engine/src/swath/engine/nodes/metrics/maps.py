"""What there is in maps: scores, decisions and labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.graph.records import Measurement, defined
from swath.engine.graph.roles import Metric
from swath.engine.nodes.metrics.reading import METRICS
from swath.engine.ops.ranks import quantile
from swath.engine.ops.statistics import Moments

_PERCENTS = (25, 75, 95, 99)
_STATISTICS = ("mean", "std", "min", "max", "median", *(f"q{percent}" for percent in _PERCENTS))
_COUNTS = ("anomaly/total_pixels", "anomaly/anomalous_pixels", "anomaly/anomaly_percentage")
_LABELS = "num_distinct_labels"


class ScoreStatisticsMetric(Metric):
    """Mean, deviation, extremes, median and quantiles of scores, as ``scores/...``.

    The deviation is that of a sample (n - 1), of a single score not defined and left out. The median is the lower one
    of an even number of scores. Scores that are not finite count for nothing; ``scores/invalid_pixels`` says how many
    there were, if any. The output holds the numbers of each batch by itself; those of a split are of all its scores
    together, which are held as float32 for that.
    """

    tags = ("evaluation", "anomaly")
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1), description="Scores [B, H, W]"))
    outputs = METRICS

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def metric_names(self, given: Collection[str]) -> frozenset[str]:
        return frozenset(f"scores/{name}" for name in (*_STATISTICS, "invalid_pixels"))

    def reset(self) -> None:
        self._scores: list[Tensor] = []
        self._invalid = 0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.follow(context)
        scores: Tensor = inputs["scores"].detach().flatten()
        finite = scores[scores.isfinite()].float()
        self._scores.append(finite.cpu())
        self._invalid += (invalid := len(scores) - len(finite))
        return {"metrics": [Measurement(name, value) for name, value in _statistics(finite, invalid).items()]}

    def compute(self) -> dict[str, float]:
        return _statistics(torch.cat([torch.empty(0), *self._scores]), self._invalid)


def _statistics(scores: Tensor, invalid: int) -> dict[str, float]:
    """Return the numbers by name, given the finite scores ``[N]`` and how many others there were."""
    values: dict[str, float] = {}
    if len(scores):
        moments = Moments()
        moments.add(scores[:, None])
        statistics = (
            moments.mean[0],
            moments.variance[0].sqrt(),
            scores.amin(),
            scores.amax(),
            scores.median(),
            *(quantile(scores, percent / 100) for percent in _PERCENTS),
        )
        numbers: list[float] = torch.stack([value.double() for value in statistics]).tolist()
        values |= zip(_STATISTICS, numbers, strict=True)
    if invalid:
        values["invalid_pixels"] = float(invalid)
    return {f"scores/{name}": value for name, value in defined(values).items()}


class AnomalyPixelStatisticsMetric(Metric):
    """Pixels looked at, pixels decided to be anomalous, and their share in percent, as ``anomaly/...``.

    Decisions do not tell which pixels are invalid: one that is counts as looked at, and as not anomalous. The output
    holds the numbers of all batches so far; a new stage or epoch starts anew.
    """

    tags = ("evaluation", "anomaly")
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Decisions [B, H, W, 1]"),
    )
    outputs = ports(metrics=Port(LIST, description="Numbers so far"))

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def metric_names(self, given: Collection[str]) -> frozenset[str]:
        return frozenset(_COUNTS) if "decisions" in given else frozenset()

    def reset(self) -> None:
        self._seen = False
        self._pixels = self._anomalous = 0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.follow(context)
        decisions: Tensor | None = inputs.get("decisions")
        if decisions is not None:
            self._seen = True
            self._pixels += decisions.numel()
            self._anomalous += int(decisions.sum())
        return {"metrics": [Measurement(name, value) for name, value in self.compute().items()]}

    def compute(self) -> dict[str, float]:
        if not self._seen:
            return {}
        share = 100 * self._anomalous / self._pixels if self._pixels else float("nan")
        return defined(dict(zip(_COUNTS, (float(self._pixels), float(self._anomalous), share), strict=True)))


class DistinctLabelCount(Node):
    """Number of different labels in each frame, the background 0 left out, also as ``num_distinct_labels``."""

    category = "metric"
    tags = ("evaluation", "inference", "mask")
    inputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Labels, 0 for the background [B, H, W]"))
    outputs = ports(METRICS, count=Port(torch.int64, (-1,), description="Labels of each frame [B]"))

    def metric_names(self, given: Collection[str]) -> frozenset[str]:
        return frozenset({_LABELS})

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        labels: Tensor = inputs["mask"].flatten(1).sort(dim=1).values
        # In order, each label shows up once where it differs from the one before.
        first = torch.ones_like(labels[:, :1], dtype=torch.bool)
        starts = torch.cat([first, labels[:, 1:] != labels[:, :-1]], dim=1)
        count = (starts & (labels != 0)).sum(dim=1)
        return {"count": count, "metrics": [Measurement(_LABELS, float(n)) for n in count.tolist()]}
