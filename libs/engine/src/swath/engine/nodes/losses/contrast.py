"""Losses of pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Loss
from swath.engine.hparams import choice, number
from swath.engine.nodes.losses.base import LOSS, TAGS
from swath.engine.ops.colour.spaces import linear_to_oklab, srgb_to_linear
from swath.engine.ops.validity import fill


class ForegroundContrastLoss(Loss):
    """Minus the distance between the mean colours of foreground and background, averaged over the frames.

    Of a frame it is ``-sqrt(|f - b|^2 + eps) + compactness_weight * v + anchor_weight * (|f - m|^2 + |b - m|^2) / 3``,
    with the mean colours f of the foreground, b of the background and m of the frame, and the variance v of the
    foreground, averaged over its channels. Frames that lack one of the two do not count; without any the loss is 0.

    Args:
        weight: Factor of the loss.
        compactness_weight: Factor of the variance, at least 0.
        anchor_weight: Factor of the distances from the frame's mean, at least 0.
        eps: Keeps the slope of the root finite.
        color_space: ``rgb`` as it comes, or ``oklab``, where equal distances look equal.
        assume_srgb: Whether the colours are encoded for screens, rather than linear; for ``oklab``.
    """

    tags = TAGS
    invalid = Invalid.SEEN
    inputs = ports(
        rgb=Port(torch.float32, (-1, -1, -1, 3), description="Pictures of 0 to 1 [B, H, W, 3]"),
        mask=Port(torch.int32, (-1, -1, -1), description="Above 0 in the foreground [B, H, W]"),
    )
    outputs = LOSS

    def __init__(
        self,
        weight: float = 1.0,
        compactness_weight: float = 0.0,
        anchor_weight: float = 0.0,
        eps: float = 1e-6,
        color_space: str = "rgb",
        assume_srgb: bool = True,
    ) -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.compactness_weight = number("compactness_weight", compactness_weight, at_least=0)
        self.anchor_weight = number("anchor_weight", anchor_weight, at_least=0)
        self.eps = number("eps", eps, above=0)
        self.oklab = choice("color_space", color_space, ("rgb", "oklab")) == "oklab"
        self.encoded = bool(assume_srgb)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["mask"]
        rgb: Tensor = inputs["rgb"]
        if mask.shape != rgb.shape[:3]:
            raise self.refuse("mask", f"a label for each pixel, {list(rgb.shape[:3])}", mask)
        valid = context.valid_at(rgb)
        if valid is not None:
            rgb = fill(rgb, valid)
        known = torch.ones_like(mask, dtype=torch.bool) if valid is None else valid
        foreground, background = ((mask > 0) & known).flatten(1), ((mask <= 0) & known).flatten(1)
        counted = foreground.any(dim=1) & background.any(dim=1)
        colours = self._colours(rgb[counted]).flatten(1, 2)
        losses = self._frame_losses(colours, foreground[counted], background[counted])
        return {"loss": self.weight * losses.sum() / max(len(losses), 1)}

    def _colours(self, rgb: Tensor) -> Tensor:
        if not self.oklab:
            return rgb
        return linear_to_oklab(srgb_to_linear(rgb) if self.encoded else rgb)

    def _frame_losses(self, pixels: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
        """Return the loss of each frame, from colours ``[B, N, 3]`` and the pixels of both kinds ``[B, N]``."""
        inside = _shares(foreground, pixels)
        front, back = _mean(pixels, inside), _mean(pixels, _shares(background, pixels))
        losses = -((front - back).square().sum(dim=1) + self.eps).sqrt()
        if self.compactness_weight:
            spread = _mean((pixels - front[:, None]).square(), inside).mean(dim=1)
            losses = losses + self.compactness_weight * spread
        if self.anchor_weight:
            every = foreground | background
            middle = pixels.mean(dim=1) if bool(every.all()) else _mean(pixels, _shares(every, pixels))
            away = (front - middle).square() + (back - middle).square()
            losses = losses + self.anchor_weight * away.mean(dim=1)
        return losses


def _shares(chosen: Tensor, pixels: Tensor) -> Tensor:
    """Return weights of the chosen pixels that sum to 1 in each frame, ``[B, N]``."""
    weights = chosen.to(pixels.dtype)
    return weights / weights.sum(dim=1, keepdim=True)


def _mean(pixels: Tensor, shares: Tensor) -> Tensor:
    return torch.einsum("bnc,bn->bc", pixels, shares)
