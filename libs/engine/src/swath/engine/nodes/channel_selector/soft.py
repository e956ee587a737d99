"""A weight for each channel, learnt."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Fittable
from swath.engine.hparams import channels, choice, number
from swath.engine.ops.ranks import largest
from swath.engine.ops.statistics import Moments


class SoftChannelSelector(Fittable):
    """Weighs each channel by ``n_select * softmax(logits / temperature)``; the weights sum to `n_select`.

    Args:
        n_select: Channels to select.
        input_channels: Channels C of the data.
        init_method: What the fit sets the logits to: ``uniform`` zeros, or ``variance`` the logarithm of each channel's
            variance (n - 1) plus eps.
        temperature_init: Temperature T of the softmax.
        temperature_min: Lowest temperature of a schedule; this node's own temperature stays as it is.
        temperature_decay: Factor per epoch of such a schedule.
        hard: Whether evaluation picks the `n_select` channels of the highest logits with weight 1 and drops the others.
        eps: Added to the variance before the logarithm.
    """

    category = "model"
    tags = ("hyperspectral", "dim_reduction", "preprocessing", "learnable", "torch")
    independence = Independence.PIXEL
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, "input_channels"), description="Cube [B, H, W, C]"))
    outputs = ports(
        selected=Port(torch.float32, (-1, -1, -1, "input_channels"), description="Weighed cube [B, H, W, C]"),
        weights=Port(torch.float32, ("input_channels",), description="Weight of each channel [C]", common=True),
    )
    trainable_buffers = ("channel_logits",)
    usable_unfitted = True

    channel_logits: Tensor

    def __init__(
        self,
        n_select: int,
        input_channels: int,
        init_method: str = "uniform",
        temperature_init: float = 5.0,
        temperature_min: float = 0.1,
        temperature_decay: float = 0.9,
        hard: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.input_channels = channels("input_channels", input_channels)
        self.n_select = channels("n_select", n_select)
        if self.n_select > self.input_channels:
            raise ValueError(f"n_select {n_select} is more than the {input_channels} input channels")
        self.init_method = choice("init_method", init_method, ("uniform", "variance"))
        self.temperature = number("temperature_init", temperature_init, above=0)
        number("temperature_min", temperature_min, above=0)
        number("temperature_decay", temperature_decay, above=0)
        self.hard = bool(hard)
        self.eps = number("eps", eps, above=0)
        uniform = self.init_method == "uniform"
        logits = torch.zeros(self.input_channels) if uniform else torch.randn(self.input_channels) * 0.01
        self.register_buffer("channel_logits", logits)
        self._moments = Moments()

    def begin_fit(self) -> None:
        self._moments = Moments()

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        if self.init_method == "variance":
            self._moments.add(inputs["data"].reshape(-1, self.input_channels))

    @torch.no_grad()
    def end_fit(self) -> None:
        moments, self._moments = self._moments, Moments()
        self.left_out = moments.left_out
        if self.init_method == "uniform":
            self.channel_logits.zero_()
        elif moments.count < 2:
            raise self._too_few("2 pixels", moments.count)
        else:
            self.channel_logits.copy_((moments.variance + self.eps).log())
        self._done()

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        weights = self._weights()
        return {"selected": inputs["data"] * weights, "weights": weights}

    def _weights(self) -> Tensor:
        if self.hard and not self.training:
            chosen = largest(self.channel_logits, self.n_select)
            return torch.zeros_like(self.channel_logits).scatter_(0, chosen, 1.0)
        return self.n_select * torch.softmax(self.channel_logits / self.temperature, dim=-1)
