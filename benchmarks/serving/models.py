"""The models that every server serves, by torch alone: what a peer runs, and what right answers are.

Peers import this module in environments of their own, so it imports nothing of Swath.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SCALE, BIAS = 2.0, 0.5
STRIDE = 64
CHANNELS, HIDDEN, EMBEDDING = 189, 128, 32


@dataclass(frozen=True)
class Model:
    """One model, and the node of a pipeline that computes the same.

    Attributes:
        class_name: The node's class.
        port: Name of its input.
        output: Name of its output.
        hparams: Of the node.
        small: Whether calls are so small that merging those that wait anyway pays.
        batched: Whether it pays to wait for calls to merge.
    """

    class_name: str
    port: str
    output: str
    hparams: dict[str, Any] = field(default_factory=dict)
    small: bool = False
    batched: bool = False


MODELS = {
    "affine": Model(
        "cuvis_ai.node.conversion.ScoreToLogit",
        "scores",
        "logits",
        {"init_scale": SCALE, "init_bias": BIAS},
        small=True,
    ),
    "rx": Model(
        "cuvis_ai.node.anomaly.rx_detector.RXGlobal",
        "data",
        "scores",
        {"num_channels": CHANNELS, "eps": 1e-6, "cache_inverse": True},
    ),
    "sample": Model("cuvis_ai.node.spatial.GridSubsample", "cube", "cube", {"stride": STRIDE}),
    "mlp": Model(
        "cuvis_ai.node.anomaly.deep_svdd.DeepSVDDProjection",
        "data",
        "embeddings",
        {"in_channels": CHANNELS, "hidden": HIDDEN, "rep_dim": EMBEDDING},
        small=True,
        batched=True,
    ),
}


class Bare:
    """The models without anything around them.

    Args:
        weights: File of arrays that `benchmarks.serving.weights` wrote.
    """

    def __init__(self, weights: Path) -> None:
        with np.load(weights) as arrays:
            self._arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """Return what a model makes of float32 [B, H, W, C]."""
        with torch.inference_mode():
            return getattr(self, f"_{name}")(x).contiguous()

    def answer(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return what a model makes of an array."""
        return self(name, torch.from_numpy(x)).numpy()

    def _affine(self, x: Tensor) -> Tensor:
        return SCALE * (x - BIAS)

    def _rx(self, x: Tensor) -> Tensor:
        """Squared Mahalanobis distance: the sum of squares of whitened pixels, in float64."""
        centred = x.reshape(-1, CHANNELS).to(torch.float64) - self._arrays["mu"]
        whitened = centred @ self._arrays["whitening"]
        return whitened.square_().sum(1).to(torch.float32).reshape(*x.shape[:-1], 1)

    def _sample(self, x: Tensor) -> Tensor:
        return x[:, ::STRIDE, ::STRIDE]

    def _mlp(self, x: Tensor) -> Tensor:
        hidden = torch.nn.functional.linear(x, self._arrays["w1"], self._arrays["b1"]).relu_()
        return torch.nn.functional.linear(hidden, self._arrays["w2"])
