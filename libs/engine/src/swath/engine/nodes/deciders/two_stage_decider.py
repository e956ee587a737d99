"""A decider that asks first whether a frame is anomalous, and then where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.ports import LEARNING, Port, ports
from swath.engine.hparams import dimensions, fraction, number
from swath.engine.nodes.deciders.placed import PlacedDecider
from swath.engine.ops.calibration import best_threshold, frames
from swath.engine.ops.ranks import quantile, top_mean

_OF_A_CALL = Port(
    torch.float32, (1,), optional=True, common=True, description="Threshold of this call, in place of the hparam [1]"
)


def _numbers(description: str, *shape: int) -> Port:
    return Port(torch.float32, (-1, *shape), optional=True, description=description)


class TwoStageBinaryDecider(PlacedDecider):
    """``x >= pixel_threshold``, in the frames whose score is at least `image_threshold`; nothing in the others.

    A pixel's x is the highest of its channels. A frame's score is the mean of the highest `top_k_fraction` of its x.
    Without an image threshold every frame passes; without a pixel threshold a frame is cut at its own quantile. In
    training and evaluation nothing is put out before both thresholds are there.

    Args:
        image_threshold: Least score of a frame that passes.
        top_k_fraction: Share of a frame's pixels that make its score, above 0; at least one pixel does.
        quantile: Share of a frame's values that lie below its own threshold.
        pixel_threshold: Least x of a pixel that is anomalous.
        reduce_dims: Dimensions that the quantile is taken over: those of whole frames, however they are named.
    """

    tags = ("classification", "postprocessing", "torch")
    invalid = Invalid.FRAMES
    independence = Independence.FRAME
    inputs = ports(
        logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits or scores [B, H, W, C]"),
        image_threshold=_OF_A_CALL,
        pixel_threshold=_OF_A_CALL,
    )
    outputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Anomalous pixels [B, H, W, 1]"),
        pixel_threshold_range=_numbers("Lowest and highest finite x of each frame, 0 and 0 without one [B, 2]", 2),
        pixel_threshold_value=_numbers("Pixel threshold of each frame, passed or not [B]"),
        image_threshold_range=_numbers("0 and the highest finite x of each frame, in order [B, 2]", 2),
        image_threshold_value=_numbers("Image threshold, NaN without one [B]"),
        image_threshold_score=_numbers("Score of each frame [B]"),
    )
    score_port = "logits"
    threshold_names = optional_state = ("image_threshold", "pixel_threshold")

    def __init__(
        self,
        image_threshold: float | None = None,
        top_k_fraction: float = 0.001,
        quantile: float = 0.995,
        pixel_threshold: float | None = None,
        reduce_dims: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("image_threshold", image_threshold), ("pixel_threshold", pixel_threshold)):
            if value is not None:
                number(name, value)
        self.share = number("top_k_fraction", top_k_fraction, above=0, at_most=1)
        self.quantile = fraction("quantile", quantile)
        if reduce_dims is not None and dimensions("reduce_dims", reduce_dims) not in ((1, 2), (1, 2, 3)):
            raise ValueError(f"reduce_dims must be those of whole frames, [1, 2, 3], got {list(reduce_dims)!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if context.stage in LEARNING and not self.placed:
            return {}
        logits: Tensor = inputs["logits"]
        if logits.shape[1:].numel() == 0:
            raise self.refuse("logits", "at least one pixel and channel", logits)
        gate = self._threshold("image_threshold", inputs)
        cut = self._threshold("pixel_threshold", inputs)
        values = logits.amax(dim=3).flatten(1)
        scores = top_mean(values, self.share)
        cuts = quantile(logits.flatten(1), self.quantile) if cut is None else torch.full_like(scores, cut)
        marked = values >= cuts[:, None]
        if gate is not None:
            # A frame whose score is no number is not below the gate; the pixels say what is anomalous.
            marked &= ~(scores < gate)[:, None]
        low, high = _finite_range(values)
        return {
            "decisions": marked.reshape(*logits.shape[:3], 1),
            "pixel_threshold_range": torch.stack([low, high], dim=1),
            "pixel_threshold_value": cuts,
            "image_threshold_range": torch.stack([high.clamp_max(0), high.clamp_min(0)], dim=1),
            "image_threshold_value": torch.full_like(scores, math.nan if gate is None else gate),
            "image_threshold_score": scores,
        }

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float]:
        """Place the image threshold where the F1 of frames is best, then the pixel threshold where that of pixels is.

        Anomalous pixels of frames that do not pass count as missed. See `Decider.calibrate`.
        """
        values, flags = frames(scores, masks)
        image_scores = [top_mean(torch.from_numpy(value), self.share).numpy().reshape(1) for value in values]
        image = best_threshold(image_scores, [flag.any().reshape(1) for flag in flags])
        passed = [bool(score >= image.threshold) for score in image_scores]
        pixel = best_threshold(
            [value for value, kept in zip(values, passed, strict=True) if kept],
            [flag for flag, kept in zip(flags, passed, strict=True) if kept],
            missed=sum(int(flag.sum()) for flag, kept in zip(flags, passed, strict=True) if not kept),
        )
        self.place(image_threshold=image.threshold, pixel_threshold=pixel.threshold)
        return pixel.metrics() | {"image_f1": image.f1_score}

    def _threshold(self, name: str, inputs: dict[str, Any]) -> float | None:
        given: Tensor | None = inputs.get(name)
        if given is None:
            return self.hparams[name]
        threshold = float(given)
        if not math.isfinite(threshold):
            raise self.refuse(name, "a finite number", given)
        return threshold


def _finite_range(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest finite value of each row, 0 where there is none."""
    finite = values.isfinite()
    low = torch.where(finite, values, torch.inf).amin(dim=1)
    high = torch.where(finite, values, -torch.inf).amax(dim=1)
    any_finite = finite.any(dim=1)
    return torch.where(any_finite, low, 0), torch.where(any_finite, high, 0)
