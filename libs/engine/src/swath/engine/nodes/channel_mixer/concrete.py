"""Bands picked by gradient.

Source: C. J. Maddison, A. Mnih, Y. W. Teh, "The concrete distribution: a continuous relaxation of discrete random
variables", ICLR, 2017; as a selector of features, M. F. Balin, A. Abid, J. Zou, "Concrete autoencoders: differentiable
feature selection and reconstruction", ICML, 2019.
"""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, Stage, ports
from swath.engine.hparams import channels, number, whole
from swath.engine.nodes.channel_mixer.base import INPUTS, RGB, TAGS
from swath.engine.ops.products import settled
from swath.engine.ops.validity import mark, valid_pixels


class ConcreteChannelMixer(Node):
    """``y_k = sum_c w_kc x_c``, with weights w that are a noisy softmax at first and one channel each in the end.

    In training ``w_k = softmax((logits_k + g) / tau)`` with Gumbel noise g; tau falls from `tau_start` to `tau_end`,
    evenly on a logarithmic scale. Otherwise w_k is 1 for the channel of the highest logit and 0 for the others, or
    ``softmax(logits_k / tau_end)``.

    Args:
        input_channels: Channels C of the data.
        output_channels: Channels K to pick.
        tau_start: Temperature of the first epoch.
        tau_end: Temperature from epoch `max_epochs` on.
        max_epochs: Epochs that the temperature falls over.
        use_hard_inference: Whether a single channel is picked out of training.
        eps: Keeps the logarithms of the noise finite.
    """

    category = "model"
    tags = (*TAGS, "stochastic")
    independence = Independence.PIXEL
    inputs = INPUTS
    outputs = ports(
        rgb=RGB,
        selection_weights=Port(
            torch.float32, ("output_channels", -1), description="Weights, an output a row [K, C]", common=True
        ),
    )

    def __init__(
        self,
        input_channels: int,
        output_channels: int = 3,
        tau_start: float = 10.0,
        tau_end: float = 0.1,
        max_epochs: int = 20,
        use_hard_inference: bool = True,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.input_channels = channels("input_channels", input_channels)
        self.output_channels = channels("output_channels", output_channels)
        self.tau_start = number("tau_start", tau_start, above=0)
        self.tau_end = number("tau_end", tau_end, above=0)
        self.max_epochs = whole("max_epochs", max_epochs, at_least=0)
        self.hard = bool(use_hard_inference)
        self.eps = number("eps", eps, above=0)
        self.logits = torch.nn.Parameter(torch.zeros(self.output_channels, self.input_channels))

    def train(self, mode: bool = True) -> Self:
        self.invalid = Invalid.PASSED if self.hard and not mode else Invalid.FILLED
        return super().train(mode)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        if self.training and context.stage is Stage.TRAIN:
            weights = torch.softmax((self.logits + self._noise()) / self._tau(context.epoch), dim=1)
        elif self.hard:
            picked = self.logits.argmax(dim=1)
            weights = functional.one_hot(picked, self.input_channels).to(self.logits.dtype)
            # What is not picked does not matter.
            rgb = data[..., picked]
            valid = None if context.valid is None else valid_pixels(rgb)
            return {"rgb": mark(rgb, valid), "selection_weights": weights}
        else:
            weights = torch.softmax(self.logits / self.tau_end, dim=1)
        return {"rgb": settled(data) @ weights.T, "selection_weights": weights}

    def _noise(self) -> Tensor:
        uniform = torch.rand_like(self.logits)
        return -torch.log(-torch.log(uniform + self.eps) + self.eps)

    def _tau(self, epoch: int) -> float:
        last = self.max_epochs - 1
        done = min(epoch / last, 1.0) if last > 0 else 1.0
        return math.exp((1 - done) * math.log(self.tau_start) + done * math.log(self.tau_end))
