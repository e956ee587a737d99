"""How well anomalies are found, pooled over all batches of one stage and epoch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.ports import LIST, Port, ports
from swath.engine.graph.records import Measurement, defined
from swath.engine.graph.roles import Metric
from swath.engine.hparams import whole
from swath.engine.ops.ranking import Ranking

_PIXELS = ("precision", "recall", "f1_score", "iou")
_FRAMES = ("image_precision", "image_recall", "image_f1")
_RANKED = ("average_precision",)
_LEFT_OUT = ("invalid_pixels",)


class AnomalyDetectionMetrics(Metric):
    """How well decisions, or scores, find the anomalous pixels.

    Of pixels: precision, recall, f1_score, iou. Of frames, which count as anomalous when any pixel is: image_precision,
    image_recall, image_f1. Of logits, or scores of any range: average_precision, exactly, over every distinct score.
    Without decisions only the last is given. The output holds the numbers of all batches so far; a new stage or epoch
    starts anew.

    Pixels whose logit is not finite are invalid: they count for nothing, and ``invalid_pixels`` says how many there
    were, if any. Without logits all pixels count. Where no pixel (no frame) is anomalous by the ground truth, the
    numbers of pixels (of frames) are not defined and left out. Where something is anomalous and nothing is decided to
    be, the precision is 0, as in scikit-learn.

    Four bytes are held per pixel with a logit; `pixel_stride` lowers that by its square.

    Args:
        ap_thresholds: Without effect, as average_precision is exact; documents may name it.
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
        whole("ap_thresholds", ap_thresholds, at_least=2)
        self.stride = whole("pixel_stride", pixel_stride, at_least=1)
        self.reset()

    def metric_names(self, given: Collection[str]) -> frozenset[str]:
        decided = (*_PIXELS, *_FRAMES) if "decisions" in given else ()
        ranked = (*_RANKED, *_LEFT_OUT) if "logits" in given else ()
        return frozenset((*decided, *ranked))

    def reset(self) -> None:
        self._pixels: list[int] | None = None
        self._frames: list[int] | None = None
        self._ranking: Ranking | None = None
        self._invalid = 0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.follow(context)
        targets: Tensor = inputs["targets"]
        for port in ("decisions", "logits"):
            if port in inputs and inputs[port].shape != targets.shape:
                raise self.refuse(port, f"the shape of the targets, {list(targets.shape)}", inputs[port])
        logits: Tensor | None = inputs.get("logits")
        valid = torch.ones_like(targets) if logits is None else logits.isfinite()
        self._invalid += int((~valid).sum())
        if "decisions" in inputs:
            decisions, true = inputs["decisions"] & valid, targets & valid
            self._frames = _add(self._frames, decisions.flatten(1).any(dim=1), true.flatten(1).any(dim=1))
            self._pixels = _add(self._pixels, self._sampled(decisions), self._sampled(true))
        if logits is not None:
            counts = self._sampled(valid)
            self._ranking = self._ranking or Ranking()
            self._ranking.add(self._sampled(logits.detach())[counts], self._sampled(targets)[counts])
        return {"metrics": [Measurement(name, value) for name, value in self.compute().items()]}

    def _sampled(self, maps: Tensor) -> Tensor:
        return maps[:, :: self.stride, :: self.stride]

    def compute(self) -> dict[str, float]:
        values: dict[str, float] = {}
        if self._frames is not None:
            values |= zip(_FRAMES, _ratios(*self._frames)[:3], strict=True)
        if self._pixels is not None:
            values |= zip(_PIXELS, _ratios(*self._pixels), strict=True)
        if self._ranking is not None:
            values |= dict.fromkeys(_RANKED, self._ranking.average_precision())
        if self._invalid:
            values |= dict.fromkeys(_LEFT_OUT, float(self._invalid))
        return defined(values)


def _add(counts: list[int] | None, decided: Tensor, true: Tensor) -> list[int]:
    """Return counts of hits, decided and true, with those of a batch added."""
    added: list[int] = torch.stack([(decided & true).sum(), decided.sum(), true.sum()]).tolist()
    return added if counts is None else [old + new for old, new in zip(counts, added, strict=True)]


def _ratios(hits: int, decided: int, true: int) -> tuple[float, ...]:
    """Return precision, recall, F1 and intersection over union; NaN where nothing is true."""
    if not true:
        return (float("nan"),) * 4
    return hits / decided if decided else 0.0, hits / true, 2 * hits / (decided + true), hits / (decided + true - hits)
