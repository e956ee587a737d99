"""Running bounds of channels over a sequence of frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from swath.engine.ops.ranks import at_rank


def frame_bounds(data: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return two quantiles of each frame and channel by linear interpolation.

    Values that are not finite do not count, except for the lowest and the highest, which are of all values.

    Args:
        data: Cube ``[B, H, W, C]``.
        low: Share of the values below the lower bound.
        high: Share of the values below the upper bound.

    Returns:
        Lower and upper bounds, ``[B, C]`` each; NaN where a channel holds no finite value.
    """
    if (low, high) == (0, 1):
        return data.amin(dim=(1, 2)), data.amax(dim=(1, 2))
    columns = data.flatten(1, 2).mT
    if columns.shape[-1] == 0:
        nothing = columns.new_full(columns.shape[:2], torch.nan)
        return nothing, nothing
    finite = columns.isfinite()
    ordered = torch.where(finite, columns, torch.nan).sort(dim=-1).values  # NaN comes last
    last = (finite.sum(dim=-1, keepdim=True) - 1).clamp_min(0)
    return at_rank(ordered, last, low), at_rank(ordered, last, high)


def to_unit(data: Tensor, low: Tensor, high: Tensor, eps: float) -> Tensor:
    """Return ``(data - low) / max(high - low, eps)``.

    Args:
        data: Cube ``[B, H, W, C]``.
        low: Lower bounds, broadcast against the cube.
        high: Upper bounds.
        eps: Least span that is divided by.
    """
    return (data - low) / (high - low).clamp_min(eps)


@dataclass(frozen=True)
class RunningBounds:
    """Bounds that widen over the quantiles of the frames so far, and then stay.

    Frame n (from 1) takes part in the bounds while n is at most `freeze_after`. It is scaled by its own quantiles while
    n is at most `warmup`, and by the bounds up to and including itself afterwards.

    Attributes:
        low: Share of a frame's values below its lower quantile.
        high: Share of a frame's values below its upper quantile.
        warmup: Frames that are scaled by themselves.
        freeze_after: Frames that take part; all of them when None.
    """

    low: float
    high: float
    warmup: int
    freeze_after: int | None

    @torch.no_grad()
    def advance(self, data: Tensor, minimum: Tensor, maximum: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Add frames and return the bounds of each.

        Args:
            data: Cube ``[B, H, W, C]``.
            minimum: Lower bounds so far ``[C]``, NaN before the first frame; changed in place.
            maximum: Upper bounds so far ``[C]``; changed in place.
            seen: Number of frames so far, a scalar; changed in place.

        Returns:
            Lower and upper bounds, ``[B, C]`` each.
        """
        before, frames = int(seen), data.shape[0]
        seen += frames
        still = frames if self.freeze_after is None else max(self.freeze_after - before, 0)
        joining = min(frames, still)
        own = min(frames, max(self.warmup - before, 0))
        lows, highs = minimum.repeat(frames, 1), maximum.repeat(frames, 1)
        leading = max(joining, own)
        if leading == 0:
            return lows, highs
        frame_lows, frame_highs = frame_bounds(data[:leading], self.low, self.high)
        if joining:
            lows[:joining] = _widest(minimum, frame_lows[:joining], torch.cummin, torch.inf)
            highs[:joining] = _widest(maximum, frame_highs[:joining], torch.cummax, -torch.inf)
            lows[joining:], highs[joining:] = lows[joining - 1], highs[joining - 1]
            minimum.copy_(lows[joining - 1])
            maximum.copy_(highs[joining - 1])
        lows[:own], highs[:own] = frame_lows[:own], frame_highs[:own]
        return lows, highs


def _widest(former: Tensor, frames: Tensor, cumulate: Callable[..., Any], neutral: float) -> Tensor:
    """Return the bounds after each frame ``[B, C]``; a bound of NaN is none."""
    bounds = torch.cat([former[None], frames])
    widest = cumulate(torch.where(bounds.isnan(), neutral, bounds), dim=0).values[1:]
    return torch.where(widest == neutral, torch.nan, widest)
