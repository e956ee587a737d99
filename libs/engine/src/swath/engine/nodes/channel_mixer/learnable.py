"""Channels mixed by a small network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.ports import Port, Stage, ports
from swath.engine.hparams import channels, choice, number
from swath.engine.mixins.bounds import frame_bounds, to_unit
from swath.engine.mixins.moments_fit import MomentsFit
from swath.engine.nodes.channel_mixer.base import INPUTS, RGB, TAGS
from swath.engine.ops.products import settled
from swath.engine.ops.statistics import Moments, principal_components

_NORMALIZATIONS = ("batchnorm_sigmoid", "per_frame_minmax", "sigmoid_only", "none")
_INITS = ("xavier", "kaiming", "pca", "zeros")


class LearnableChannelMixer(MomentsFit):
    """Layers ``y = W x + b`` on each pixel with leaky ReLU between them, then batch normalisation and a sigmoid.

    Source: X. Glorot, Y. Bengio, AISTATS, 2010 (xavier); K. He et al., ICCV, 2015 (kaiming); S. Ioffe, C. Szegedy,
    ICML, 2015 (batch normalisation).

    Args:
        input_channels: Channels C of the data.
        output_channels: Channels K of the result.
        leaky_relu_negative_slope: Slope of the activation below 0.
        use_bias: Whether layers have a bias b.
        use_activation: Whether there is an activation: after each layer but the last, and after the last one too
            where the output is not normalised.
        normalize_output: Whether the result is normalised.
        inference_normalization: What inference does instead of ``batchnorm_sigmoid``: ``per_frame_minmax`` scales each
            frame and channel to 0 to 1, ``sigmoid_only``, or ``none``.
        init_method: First weights: ``xavier`` and ``kaiming`` uniform, ``zeros``, or ``pca``: the first layer is fitted
            to the principal components of the data, and further layers are as with xavier.
        eps: Least span that ``per_frame_minmax`` divides by.
        reduction_scheme: Channels between the layers, from C to K; a single layer when left out.
    """

    category = "model"
    tags = TAGS
    invalid = Invalid.BATCH
    inputs = INPUTS
    fit_covariance = True
    outputs = ports(
        rgb=RGB,
        weights=Port(
            torch.float32,
            ("output_channels", -1),
            optional=True,
            description="Weights of the last layer [K, D]",
            common=True,
        ),
    )

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        leaky_relu_negative_slope: float = 0.01,
        use_bias: bool = True,
        use_activation: bool = True,
        normalize_output: bool = True,
        inference_normalization: str = "batchnorm_sigmoid",
        init_method: str = "xavier",
        eps: float = 1e-6,
        reduction_scheme: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.input_channels = channels("input_channels", input_channels)
        self.output_channels = channels("output_channels", output_channels)
        self.slope = number("leaky_relu_negative_slope", leaky_relu_negative_slope)
        self.activated = bool(use_activation)
        self.normalized = bool(normalize_output)
        self.inference_normalization = choice("inference_normalization", inference_normalization, _NORMALIZATIONS)
        self.init_method = choice("init_method", init_method, _INITS)
        self.eps = number("eps", eps, above=0)
        by_frame = self.normalized and self.inference_normalization == "per_frame_minmax"
        self.independence = Independence.FRAME if by_frame else Independence.PIXEL
        widths = [
            channels("reduction_scheme", width) for width in reduction_scheme or (input_channels, output_channels)
        ]
        if len(widths) < 2 or widths[0] != self.input_channels or widths[-1] != self.output_channels:
            raise ValueError(
                f"reduction_scheme must lead from {input_channels} to {output_channels} channels, got {widths}"
            )
        # Convolutions for the sake of their keys and shapes in weights files.
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(before, after, kernel_size=1, bias=bool(use_bias)) for before, after in pairwise(widths)
        )
        for layer in self.convs:
            self._initialize(layer)
        if self.normalized:
            self.output_bn = torch.nn.BatchNorm2d(self.output_channels)

    def _initialize(self, layer: torch.nn.Module) -> None:
        assert isinstance(layer, torch.nn.Conv2d)
        if self.init_method == "zeros":
            torch.nn.init.zeros_(layer.weight)
        elif self.init_method == "kaiming":
            torch.nn.init.kaiming_uniform_(layer.weight, a=self.slope)
        else:
            torch.nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            torch.nn.init.zeros_(layer.bias)

    def train(self, mode: bool = True) -> Self:
        # Batch normalisation takes statistics of batches in training; otherwise bounds may be those of frames.
        self.invalid = Invalid.BATCH if mode else Invalid.FRAMES
        return super().train(mode)

    def needs_fit(self) -> bool:
        return self.init_method == "pca"

    def learn(self, moments: Moments) -> None:
        weight, _ = self._layers()[0]
        count = min(weight.shape)
        weight.zero_()  # outputs beyond the number of channels have no direction left
        weight[:count] = principal_components(moments.covariance, count)[1].to(weight)

    def _layers(self) -> list[tuple[Tensor, Tensor | None]]:
        """Return weights ``[D, C]`` and biases ``[D]``, layer by layer."""
        return [(layer.weight.flatten(1), layer.bias) for layer in self.convs if isinstance(layer, torch.nn.Conv2d)]

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        mixed = settled(inputs["data"])
        layers = self._layers()
        for index, (weight, bias) in enumerate(layers, start=1):
            mixed = functional.linear(mixed, weight, bias)
            if self.activated and (index < len(layers) or not self.normalized):
                mixed = functional.leaky_relu(mixed, self.slope)
        return {"rgb": self._finished(mixed, context) if self.normalized else mixed, "weights": layers[-1][0]}

    def _finished(self, mixed: Tensor, context: Context) -> Tensor:
        match self.inference_normalization if context.stage is Stage.INFERENCE else "batchnorm_sigmoid":
            case "none":
                return mixed
            case "sigmoid_only":
                return torch.sigmoid(mixed)
            case "per_frame_minmax":
                low, high = frame_bounds(mixed, 0, 1)
                return to_unit(mixed, low[:, None, None], high[:, None, None], self.eps)
        pixels = mixed.reshape(-1, self.output_channels, 1, 1)
        if self.training and len(pixels) < 2:
            raise self.refuse("data", "at least 2 pixels to normalise a batch by", mixed)
        return torch.sigmoid(self.output_bn(pixels)).reshape(mixed.shape)
