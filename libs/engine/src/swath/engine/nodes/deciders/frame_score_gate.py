"""A gate that shows a map only in frames that raise an alarm."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import choice, number, whole
from swath.engine.ops.ranks import top_mean

log = logging.getLogger(__name__)


class FrameScoreGate(Node):
    """Blanks the map of each frame whose score is not above a threshold.

    A frame's score is the mean of the highest `topk_frac` of its alarm map; the map itself is the alarm map where no
    other one is given. With `smooth_k` above 1 the gate looks at the median of the last scores (the upper one of an
    even number), so that a single frame neither opens nor closes it; a score that is no number is left out.

    Args:
        threshold: The score of a frame that passes is above it.
        topk_frac: Share of a frame's values that make its score, above 0; at least one value does.
        mode: What a passing frame shows: ``heatmap`` its map, ``mask`` 1 where the map is above the mask threshold and
            0 elsewhere.
        mask_threshold: Values above it are decided for; the threshold when left out.
        log_scores: Whether each frame's score and highest value are logged.
        smooth_k: Frames that the median is taken over.
        core_ratio: The core of a decision is above this many mask thresholds, at least 1.
    """

    category = "transform"
    tags = ("anomaly", "postprocessing", "torch")
    invalid = Invalid.FRAMES
    independence = Independence.FRAME
    inputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Map that is shown [B, H, W, C]"),
        alarm_scores=Port(
            torch.float32, (-1, -1, -1, -1), optional=True, description="Map that raises the alarm [B, H, W, C]"
        ),
    )
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Map or mask, 0 in blanked frames [B, H, W, C]"),
        frame_score=Port(torch.float32, (-1,), description="Score of each frame, before the median [B]"),
        passed=Port(torch.int32, (-1,), description="1 for frames that pass, 0 for others [B]"),
        decisions=Port(torch.bool, (-1, -1, -1, -1), description="Values above the mask threshold [B, H, W, C]"),
        core=Port(torch.bool, (-1, -1, -1, -1), description="Values far above the mask threshold [B, H, W, C]"),
    )

    def __init__(
        self,
        threshold: float,
        topk_frac: float = 0.001,
        mode: str = "heatmap",
        mask_threshold: float | None = None,
        log_scores: bool = False,
        smooth_k: int = 1,
        core_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.threshold = number("threshold", threshold)
        self.share = number("topk_frac", topk_frac, above=0, at_most=1)
        self.mode = choice("mode", mode, ("heatmap", "mask"))
        self.cut = self.threshold if mask_threshold is None else number("mask_threshold", mask_threshold)
        self.log_scores = bool(log_scores)
        self.window = whole("smooth_k", smooth_k, at_least=1)
        self.core_ratio = number("core_ratio", core_ratio, at_least=1)
        if self.core_ratio > 1 and self.cut < 0:
            raise ValueError(
                f"core_ratio {core_ratio!r} would lower a mask threshold below 0, {self.cut:g}; leave it at 1"
            )
        self.stateful = self.window > 1
        self.forget()

    def forget(self) -> None:
        self._recent = torch.empty(0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["scores"]
        alarm: Tensor = inputs.get("alarm_scores", scores)
        if alarm.shape[0] != scores.shape[0]:
            raise self.refuse("alarm_scores", f"{scores.shape[0]} frames, as many as scores", alarm)
        if alarm.shape[1:].numel() == 0:
            raise self.refuse("scores" if alarm is scores else "alarm_scores", "at least one pixel and channel", alarm)
        frame_scores = top_mean(alarm.flatten(1), self.share)
        gated = self._smoothed(frame_scores.detach()) if self.window > 1 else frame_scores
        passed = gated > self.threshold
        opened = passed[:, None, None, None]
        decisions = (scores > self.cut) & opened
        shown = decisions.to(scores.dtype) if self.mode == "mask" else torch.where(opened, scores, 0)
        if self.log_scores:
            self._log(scores, frame_scores, gated)
        return {
            "scores": shown,
            "frame_score": frame_scores,
            "passed": passed.to(torch.int32),
            "decisions": decisions,
            "core": (scores > self.core_ratio * self.cut) & opened,
        }

    def _smoothed(self, frame_scores: Tensor) -> Tensor:
        """Return the median over the last frames, for each frame, and remember what the next call needs."""
        known = torch.cat([self._recent.to(frame_scores), frame_scores])
        missing = known.new_full((self.window - 1 - len(self._recent),), torch.nan)
        windows = torch.cat([missing, known]).unfold(0, self.window, 1)
        self._recent = known[-(self.window - 1) :]
        ordered = windows.sort(dim=1).values  # NaN comes last
        middle = (~windows.isnan()).sum(dim=1, keepdim=True) // 2
        return ordered.gather(1, middle).squeeze(1)

    def _log(self, scores: Tensor, frame_scores: Tensor, gated: Tensor) -> None:
        highest = scores.detach().flatten(1).amax(dim=1)
        for score, median, peak in zip(frame_scores.tolist(), gated.tolist(), highest.tolist(), strict=True):
            log.info(
                "%s: frame score %.4f (median %.4f), threshold %.4f, highest value %.4f",
                self.name,
                score,
                median,
                self.threshold,
                peak,
            )
