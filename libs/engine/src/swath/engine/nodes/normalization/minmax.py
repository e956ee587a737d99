"""Scaling between the least and the largest value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.roles import Fittable
from swath.engine.hparams import number, whole
from swath.engine.nodes.normalization.base import INPUTS, OUTPUTS, TAGS
from swath.engine.ops.validity import all_finite


class MinMaxNormalizer(Fittable):
    """``(x - min) / max(max - min, eps)``.

    Args:
        eps: Least span that is divided by.
        use_running_stats: Whether min and max are one pair of numbers learnt from the training data, or those of each
            image and channel.
        max_initialization_frames: Frames that the fit looks at; all when left out.
    """

    category = "transform"
    tags = TAGS
    invalid = Invalid.FRAMES
    inputs = INPUTS
    outputs = OUTPUTS
    blank_state = frozenset({"running_min", "running_max"})
    trainable_buffers = ("running_min", "running_max")

    running_min: Tensor
    running_max: Tensor

    def __init__(
        self, eps: float = 1e-6, use_running_stats: bool = True, max_initialization_frames: int | None = None
    ) -> None:
        super().__init__()
        self.eps = number("eps", eps, above=0)
        self.use_running_stats = bool(use_running_stats)
        self.independence = Independence.PIXEL if self.use_running_stats else Independence.FRAME
        self.max_frames = (
            None
            if max_initialization_frames is None
            else whole("max_initialization_frames", max_initialization_frames, at_least=1)
        )
        self.register_buffer("running_min", torch.tensor(torch.nan))
        self.register_buffer("running_max", torch.tensor(torch.nan))
        self.begin_fit()

    def needs_fit(self) -> bool:
        return self.use_running_stats

    def begin_fit(self) -> None:
        self._frames = 0
        self.left_out = 0
        self._extremes: tuple[Tensor, Tensor] | None = None

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        data: Tensor = inputs["data"].detach()
        if self.max_frames is not None:
            data = data[: self.max_frames - self._frames]
        if data.numel() == 0:
            return
        self._frames += data.shape[0]
        low, high = torch.aminmax(data)
        if not all_finite(high - low):
            rows = self.valid_of(data.flatten(end_dim=-2))
            if rows.numel() == 0:
                return
            low, high = torch.aminmax(rows)
        if self._extremes is not None:
            low, high = torch.minimum(low, self._extremes[0]), torch.maximum(high, self._extremes[1])
        self._extremes = (low, high)

    @torch.no_grad()
    def end_fit(self) -> None:
        extremes, left_out = self._extremes, self.left_out
        self.begin_fit()
        self.left_out = left_out
        if extremes is None:
            raise self._too_few("1 valid pixel" if left_out else "1 frame", 0)
        self.running_min.copy_(extremes[0])
        self.running_max.copy_(extremes[1])
        self._done()

    def restore(self, state: Any) -> None:
        super().restore(state)
        # What an unfitted node of the reference package saves.
        self._fitted = self._fitted and not bool(torch.isnan(self.running_min))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = inputs["data"]
        if self.use_running_stats:
            low, high = self.running_min, self.running_max
        else:
            low, high = data.amin(dim=(1, 2), keepdim=True), data.amax(dim=(1, 2), keepdim=True)
        return {"normalized": (data - low).div_((high - low).clamp_min(self.eps))}
