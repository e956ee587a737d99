"""Values of any range as brightness of 0 to 1."""

from __future__ import annotations

import torch
from torch import Tensor


def frame_quantiles(data: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return two quantiles of each frame and channel by linear interpolation; what is not finite does not count.

    Args:
        data: Frames ``[B, H, W, C]``.
        low: Share of the values below the first quantile, 0 to 1.
        high: Share of the values below the second one.

    Returns:
        Two tensors ``[B, C]``, NaN where a channel holds no finite value.
    """
    frames, channels = data.shape[0], data.shape[-1]
    # Rows of one channel each; `torch.quantile` refuses more than 16 million values.
    rows = data.flatten(1, 2).transpose(1, 2)
    if rows.shape[-1] == 0:
        nothing = torch.full((frames, channels), torch.nan, dtype=data.dtype, device=data.device)
        return nothing, nothing
    finite = rows.isfinite()
    ordered = torch.where(finite, rows, torch.nan).sort(dim=-1).values  # NaN comes last
    last = (finite.sum(dim=-1, keepdim=True) - 1).clamp_min(0)

    def at(share: float) -> Tensor:
        rank = share * last.to(torch.float64)
        below = rank.floor().long()
        above = torch.minimum(below + 1, last)
        weight = (rank - below).to(data.dtype)
        return torch.lerp(ordered.gather(-1, below), ordered.gather(-1, above), weight).squeeze(-1)

    return at(low), at(high)


@torch.no_grad()
def running_bounds(
    lowest: Tensor,
    highest: Tensor,
    count: Tensor,
    data: Tensor,
    *,
    quantiles: tuple[float, float],
    warmup: int,
    freeze: int | None,
) -> tuple[Tensor, Tensor]:
    """Count frames, widen the bounds by their quantiles, and return the bounds that each frame is shown with.

    Frames count one by one, however they are batched. A frame within the warm-up is shown with its own quantiles, a
    later one with the lowest and the highest quantile of all frames up to it, which stay as they are once `freeze`
    frames were counted.

    Args:
        lowest: Lower bounds so far ``[C]``, NaN before the first frame; changed in place.
        highest: Upper bounds likewise.
        count: Frames so far, a whole number without dimensions; changed in place.
        data: Frames ``[B, H, W, C]``.
        quantiles: Shares of a frame's values below its lower and upper bound.
        warmup: Frames that are shown with their own quantiles.
        freeze: Frames that the bounds are taken from; all when left out.

    Returns:
        Lower and upper bounds ``[B, C]``.
    """
    frames, seen = data.shape[0], int(count)
    folded = frames if freeze is None else min(frames, max(freeze - seen, 0))
    own = min(frames, max(warmup - seen, 0))
    low, high = frame_quantiles(data[: max(folded, own)], *quantiles)
    lows = torch.cat([lowest[None], low[:folded]]).nan_to_num(nan=torch.inf).cummin(dim=0).values
    highs = torch.cat([highest[None], high[:folded]]).nan_to_num(nan=-torch.inf).cummax(dim=0).values
    lowest.copy_(torch.where(lows[-1].isinf(), torch.nan, lows[-1]))
    highest.copy_(torch.where(highs[-1].isinf(), torch.nan, highs[-1]))
    count += frames
    after = torch.arange(1, frames + 1, device=data.device).clamp_max(folded)
    return torch.cat([low[:own], lows[after[own:]]]), torch.cat([high[:own], highs[after[own:]]])


def rescale(data: Tensor, low: Tensor, high: Tensor, eps: float = 1e-8) -> Tensor:
    """Return ``(data - low) / max(high - low, eps)`` cut to 0..1; NaN becomes 0.

    Args:
        data: Frames ``[B, H, W, C]``.
        low: What becomes 0, ``[C]`` or of each frame ``[B, C]``.
        high: What becomes 1, likewise.
        eps: Least span that is divided by.
    """
    low, high = (bound.reshape(-1, 1, 1, data.shape[-1]) for bound in (low, high))
    return ((data - low) / (high - low).clamp_min(eps)).clamp(0, 1).nan_to_num(nan=0.0)


def srgb_gamma(linear: Tensor) -> Tensor:
    """Return linear light of 0..1 as sRGB: ``12.92 x`` up to 0.0031308, else ``1.055 x^(1/2.4) - 0.055``.

    Source: IEC 61966-2-1.
    """
    # The clamp keeps the slope of the power finite where it is not used.
    power = 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, power)
