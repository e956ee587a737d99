"""Scaling between quantiles of each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Fittable
from swath.engine.hparams import channels, choice, fraction, number, whole
from swath.engine.mixins.bounds import RunningBounds, frame_bounds, to_unit
from swath.engine.nodes.normalization.base import OUTPUTS, TAGS
from swath.engine.ops.ranks import quantile

_MODES = ("per_frame", "running", "statistical")
_FITS = ("batch_bounds", "pooled")
_CLAMPS = ("both", "floor", "none")
_CONDITIONS = (
    ("norm_mode", "per_frame", {"per_frame_quantiles": False, "joint_channels": False}),
    ("norm_mode", "statistical", {"statistical_fit": "batch_bounds", "clamp": "both", "invert": False}),
    ("statistical_fit", "pooled", {"fit_subsample": 4, "max_fit_values": 4_000_000, "seed": 0}),
)
"""An argument, the value of it that others need to have an effect, and what those are when left out."""


class PercentileNormalizer(Fittable):
    """``(x - low) / max(high - low, eps)`` of each channel, cut to 0 to 1.

    The bounds are those of the frame itself, those that widen over the first frames and then stay, or those of the
    training data. The memory of running bounds is part of the state: a pipeline goes on from where its weights were
    saved.

    Args:
        n_channels: Channels C of the data.
        norm_mode: ``per_frame``, ``running`` or ``statistical``.
        freeze_running_bounds_after_frames: Running: frames that take part in the bounds; all when None.
        running_warmup_frames: Running: first frames, which are scaled by their own quantiles.
        quantile_low: Share of the values below the lower bound.
        quantile_high: Share of the values below the upper bound.
        eps: Least span that is divided by.
        per_frame_quantiles: Per frame: whether the bounds are the quantiles, rather than least and largest value.
        joint_channels: Per frame: whether all channels share one pair of bounds.
        quantize_levels: Whether and to how many steps the result is rounded down.
        statistical_fit: Statistical: ``batch_bounds`` for the widest of the quantiles of each batch, ``pooled`` for the
            quantiles of pixels of all of them.
        fit_subsample: Pooled: each such row and column counts.
        max_fit_values: Pooled: most pixels that are kept; a random choice of them beyond.
        seed: Pooled: of the random choice.
        clamp: Statistical: ``both`` cuts to 0 to 1, ``floor`` at 0 alone, ``none`` not at all.
        invert: Statistical: whether -x is scaled instead of x.
    """

    category = "transform"
    tags = TAGS
    invalid = Invalid.FRAMES
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "n_channels"), description="Cube [B, H, W, C]"))
    outputs = OUTPUTS
    blank_state = frozenset({"running_min", "running_max"})

    running_min: Tensor
    running_max: Tensor
    _norm_frame_count: Tensor

    def __init__(
        self,
        n_channels: int,
        norm_mode: str = "running",
        freeze_running_bounds_after_frames: int | None = 20,
        running_warmup_frames: int = 10,
        quantile_low: float = 0.005,
        quantile_high: float = 0.995,
        eps: float = 1e-8,
        per_frame_quantiles: bool = False,
        joint_channels: bool = False,
        quantize_levels: int | None = None,
        statistical_fit: str = "batch_bounds",
        fit_subsample: int = 4,
        max_fit_values: int = 4_000_000,
        seed: int = 0,
        clamp: str = "both",
        invert: bool = False,
    ) -> None:
        super().__init__()
        self.n_channels = channels("n_channels", n_channels)
        self.mode = choice("norm_mode", norm_mode, _MODES)
        self.low = fraction("quantile_low", quantile_low)
        self.high = fraction("quantile_high", quantile_high)
        if self.low >= self.high:
            raise ValueError(f"quantile_low must be below quantile_high {quantile_high!r}, got {quantile_low!r}")
        self.eps = number("eps", eps, above=0)
        freeze = freeze_running_bounds_after_frames
        self.running = RunningBounds(
            self.low,
            self.high,
            warmup=whole("running_warmup_frames", running_warmup_frames, at_least=0),
            freeze_after=None if freeze is None else whole("freeze_running_bounds_after_frames", freeze, at_least=1),
        )
        self.per_frame_quantiles = bool(per_frame_quantiles)
        self.joint_channels = bool(joint_channels)
        self.levels = None if quantize_levels is None else whole("quantize_levels", quantize_levels, at_least=1)
        self.pooled = choice("statistical_fit", statistical_fit, _FITS) == "pooled"
        self.stride = whole("fit_subsample", fit_subsample, at_least=1)
        self.most = whole("max_fit_values", max_fit_values, at_least=2)
        self.seed = whole("seed", seed, at_least=0)
        self.clamp = choice("clamp", clamp, _CLAMPS)
        self.sign = -1 if invert else 1
        self._refuse_idle()
        self.stateful = self.mode == "running"
        self.independence = Independence.PIXEL if self.mode == "statistical" else Independence.FRAME
        self.register_buffer("running_min", torch.full((self.n_channels,), torch.nan))
        self.register_buffer("running_max", torch.full((self.n_channels,), torch.nan))
        self.register_buffer("_norm_frame_count", torch.zeros((), dtype=torch.long))
        self._remember()
        self.begin_fit()

    def _refuse_idle(self) -> None:
        """Refuse arguments that would have no effect: whoever gives them expects one."""
        for condition, wanted, arguments in _CONDITIONS:
            given = self.hparams[condition]
            for name, default in arguments.items():
                if given != wanted and self.hparams[name] != default:
                    raise ValueError(f"{name} needs {condition} '{wanted}', got '{given}'")

    def needs_fit(self) -> bool:
        return self.mode == "statistical"

    def begin_fit(self) -> None:
        self.left_out = 0
        self._bounds: tuple[Tensor, Tensor] | None = None
        self._sample: tuple[Tensor, Tensor] | None = None
        self._draws = torch.Generator().manual_seed(self.seed)

    @torch.no_grad()
    def fit_batch(self, inputs: dict[str, Any]) -> None:
        data: Tensor = inputs["data"]
        if self.pooled:
            rows = data[:, :: self.stride, :: self.stride].reshape(-1, self.n_channels)
            self._add_to_sample(self.valid_of(rows))
        elif (rows := self.valid_of(data.reshape(-1, self.n_channels))).numel():
            low, high = self._quantiles(rows)
            if self._bounds is not None:
                low, high = torch.minimum(low, self._bounds[0]), torch.maximum(high, self._bounds[1])
            self._bounds = (low, high)

    def _add_to_sample(self, rows: Tensor) -> None:
        """Keep the rows with the lowest of random keys, which makes every pixel of all batches equally likely."""
        keys = torch.rand(len(rows), generator=self._draws, dtype=torch.float64).to(rows.device)
        if self._sample is not None:
            keys, rows = torch.cat([self._sample[0], keys]), torch.cat([self._sample[1], rows])
        if len(keys) > self.most:
            keys, kept = keys.topk(self.most, largest=False, sorted=False)
            rows = rows[kept]
        self._sample = (keys, rows)

    def _quantiles(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        columns = (self.sign * rows).T.contiguous()
        return quantile(columns, self.low), quantile(columns, self.high)

    @torch.no_grad()
    def end_fit(self) -> None:
        bounds, sample, left_out = self._bounds, self._sample, self.left_out
        self.begin_fit()
        self.left_out = left_out
        if self.pooled:
            count = 0 if sample is None else len(sample[1])
            if sample is None or count < 2:
                raise self._too_few("2 pixels", count)
            bounds = self._quantiles(sample[1])
        if bounds is None:
            raise self._too_few("1 pixel", 0)
        self.running_min.copy_(bounds[0])
        self.running_max.copy_(bounds[1])
        self._remember()
        self._done()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        self._remember()
        # What an unfitted node of the reference package saves.
        self._fitted = self._fitted and not bool(self.running_min.isnan().any())

    def _remember(self) -> None:
        memory = (self.running_min, self.running_max, self._norm_frame_count)
        self._start = tuple(value.detach().clone() for value in memory)

    @torch.no_grad()
    def forget(self) -> None:
        memory = (self.running_min, self.running_max, self._norm_frame_count)
        for value, start in zip(memory, self._start, strict=True):
            value.copy_(start)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        data: Tensor = self.sign * inputs["data"]
        if data.shape[1:3].numel() == 0:
            raise self.refuse("data", "at least one pixel", data)
        scaled = to_unit(data, *self._bounds_of(data), self.eps)
        if self.clamp != "none":
            scaled = scaled.clamp(0, 1 if self.clamp == "both" else None)
        if self.levels is not None:
            scaled = torch.floor(scaled * self.levels) / self.levels
        return {"normalized": scaled}

    def _bounds_of(self, data: Tensor) -> tuple[Tensor, Tensor]:
        if self.mode == "statistical":
            return self.running_min, self.running_max
        if self.mode == "running":
            low, high = self.running.advance(data, self.running_min, self.running_max, self._norm_frame_count)
        else:
            # Joint channels are one channel of all values.
            cube = data.flatten(1)[:, :, None, None] if self.joint_channels else data
            least, largest = (self.low, self.high) if self.per_frame_quantiles else (0.0, 1.0)
            low, high = frame_bounds(cube, least, largest)
        return low[:, None, None], high[:, None, None]
