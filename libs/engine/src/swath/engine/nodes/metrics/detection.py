"""How well anomalies are found, pooled over all batches of one stage and epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.graph.records import Measurement
from swath.engine.graph.roles import Metric
from swath.engine.hparams import whole


class AnomalyDetectionMetrics(Metric):
    """How well decisions, or scores, find the anomalous pixels.

    Of pixels: precision, recall, f1_score, iou. Of frames, which count as anomalous when any pixel is: image_precision,
    image_recall, image_f1. Of logits: average_precision over thresholds on ``sigmoid(logits)``. Without decisions only
    the last is given. The output holds the numbers of all batches so far; a new stage or epoch starts anew.

    Args:
        ap_thresholds: Equally spaced thresholds of 0 to 1 for average_precision.
        pixel_stride: Only each such row and column counts for pixels; frames are always looked at as a whole.
    """

    tags = ("evaluation", "anomaly")
    inputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Decisions [B, H, W, 1]"),
        targets=Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]"),
        logits=Port(torch.float32, (-1, -1, -1, 1), optional=True, description="Logits or scores [B, H, W, 1]"),
    )
    outputs = ports(metrics=Port(LIST, description="Numbers so far"))

    def __init__(self, ap_thresholds: int = 200, pixel_stride: int = 1) -> None:
        super().__init__()
        self.thresholds = whole("ap_thresholds", ap_thresholds, at_least=2)
        self.stride = whole("pixel_stride", pixel_stride, at_least=1)
        self.reset()

    def reset(self) -> None:
        self._pixels: list[int] | None = None
        self._frames: list[int] | None = None
        self._histogram: Tensor | None = None

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.follow(context)
        targets: Tensor = inputs["targets"]
        for port in ("decisions", "logits"):
            if port in inputs and inputs[port].shape != targets.shape:
                raise self.refuse(port, f"the shape of the targets, {list(targets.shape)}", inputs[port])
        sampled = targets[:, :: self.stride, :: self.stride]
        if "decisions" in inputs:
            decisions: Tensor = inputs["decisions"]
            self._frames = _add(self._frames, decisions.flatten(1).any(dim=1), targets.flatten(1).any(dim=1))
            self._pixels = _add(self._pixels, decisions[:, :: self.stride, :: self.stride], sampled)
        if "logits" in inputs:
            logits: Tensor = inputs["logits"].detach()[:, :: self.stride, :: self.stride]
            # A score that is no number is below every threshold.
            probabilities = torch.sigmoid(logits.float()).nan_to_num(nan=-1.0)
            histogram = _histogram(probabilities, sampled, self.thresholds)
            self._histogram = histogram if self._histogram is None else self._histogram + histogram
        return {"metrics": [Measurement(name, value) for name, value in self.compute().items()]}

    def compute(self) -> dict[str, float]:
        values: dict[str, float] = {}
        if self._frames is not None:
            precision, recall, f1_score, _ = _ratios(*self._frames)
            values |= {"image_precision": precision, "image_recall": recall, "image_f1": f1_score}
        if self._pixels is not None:
            values |= zip(("precision", "recall", "f1_score", "iou"), _ratios(*self._pixels), strict=True)
        if self._histogram is not None:
            values["average_precision"] = _average_precision(self._histogram)
        return values


def _add(counts: list[int] | None, decided: Tensor, true: Tensor) -> list[int]:
    """Return counts of hits, decided and true, with those of a batch added."""
    added: list[int] = torch.stack([(decided & true).sum(), decided.sum(), true.sum()]).tolist()
    return added if counts is None else [old + new for old, new in zip(counts, added, strict=True)]


def _ratios(hits: int, decided: int, true: int) -> tuple[float, float, float, float]:
    """Return precision, recall, F1 and intersection over union; 0 where they are not defined."""
    union = decided + true - hits
    return (
        hits / decided if decided else 0.0,
        hits / true if true else 0.0,
        2 * hits / (decided + true) if decided + true else 0.0,
        hits / union if union else 0.0,
    )


def _histogram(probabilities: Tensor, targets: Tensor, thresholds: int) -> Tensor:
    """Count values by how many thresholds they reach, shape ``[2, thresholds + 1]``: normal, anomalous."""
    edges = torch.linspace(0, 1, thresholds, device=probabilities.device)
    reached = torch.bucketize(probabilities.flatten(), edges, right=True)
    cells = reached + targets.flatten() * (thresholds + 1)
    return torch.bincount(cells, minlength=2 * (thresholds + 1)).reshape(2, -1)


def _average_precision(histogram: Tensor) -> float:
    """Return the sum of precision times the step in recall, from the highest threshold down."""
    at_least = histogram.flip(1).cumsum(1)[:, :-1].to(torch.float64)
    hits = at_least[1]
    precision = hits / at_least.sum(dim=0).clamp_min(1)
    recall = hits / histogram[1].sum().clamp_min(1)
    steps = torch.diff(recall, prepend=recall.new_zeros(1))
    return float((steps * precision).sum())
