"""What there is in maps: scores, decisions and labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.graph.records import Measurement
from swath.engine.graph.roles import Metric
from swath.engine.nodes.metrics.reading import METRICS, Reading
from swath.engine.ops.ranks import quantile


class ScoreStatisticsMetric(Reading):
    """Mean, deviation, extremes, median and quantiles of a batch's scores, as ``scores/...``.

    The deviation is that of a sample (n - 1), the median the lower one of an even number of scores.
    """

    tags = ("evaluation", "anomaly")
    inputs = ports(scores=Port(torch.float32, (-1, -1, -1), description="Scores [B, H, W]"))

    def measure(self, inputs: dict[str, Any]) -> dict[str, float]:
        scores: Tensor = inputs["scores"].detach().flatten()
        if scores.numel() == 0:
            return {}
        exact = scores.double()
        statistics = {
            "mean": exact.mean(),
            # Of a single score there is no spread.
            "std": exact.std() if len(exact) > 1 else exact.new_zeros(()),
            "min": scores.amin(),
            "max": scores.amax(),
            "median": scores.median(),
            **{f"q{percent}": quantile(scores, percent / 100) for percent in (25, 75, 95, 99)},
        }
        values: list[float] = torch.stack([value.double() for value in statistics.values()]).tolist()
        return {f"scores/{name}": value for name, value in zip(statistics, values, strict=True)}


class AnomalyPixelStatisticsMetric(Metric):
    """Pixels looked at, pixels decided to be anomalous, and their share in percent, as ``anomaly/...``.

    The output holds the numbers of all batches so far; a new stage or epoch starts anew.
    """

    tags = ("evaluation", "anomaly")
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Decisions [B, H, W, 1]"),
    )
    outputs = ports(metrics=Port(LIST, description="Numbers so far"))

    def __init__(self) -> None:
        super().__init__()
        self.reset()

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
        return {
            "anomaly/total_pixels": float(self._pixels),
            "anomaly/anomalous_pixels": float(self._anomalous),
            "anomaly/anomaly_percentage": 100 * self._anomalous / max(self._pixels, 1),
        }


class DistinctLabelCount(Node):
    """Number of different labels in each frame, the background 0 left out, also as ``num_distinct_labels``."""

    category = "metric"
    tags = ("evaluation", "inference", "mask")
    inputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Labels, 0 for the background [B, H, W]"))
    outputs = ports(METRICS, count=Port(torch.int64, (-1,), description="Labels of each frame [B]"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        labels: Tensor = inputs["mask"].flatten(1).sort(dim=1).values
        # In order, each label shows up once where it differs from the one before.
        first = torch.ones_like(labels[:, :1], dtype=torch.bool)
        starts = torch.cat([first, labels[:, 1:] != labels[:, :-1]], dim=1)
        count = (starts & (labels != 0)).sum(dim=1)
        return {"count": count, "metrics": [Measurement("num_distinct_labels", float(n)) for n in count.tolist()]}
