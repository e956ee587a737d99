"""Losses of class maps and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Loss
from swath.engine.hparams import choice, number
from swath.engine.nodes.losses.base import LOSS, TAGS

_TAGS = (*TAGS, "segmentation")
_TINY = torch.finfo(torch.float32).tiny


class _ClassLoss(Loss):
    """A loss between logits of classes and the class of each pixel."""

    tags = _TAGS
    inputs = ports(
        logits=Port(torch.float32, (-1, -1, -1, -1), description="Logits of each class [B, H, W, K]"),
        targets=Port(torch.int32, (-1, -1, -1), description="Class of each pixel [B, H, W]"),
    )
    outputs = LOSS

    def _classes(self, inputs: dict[str, Any], ignored: int | None, classes: int) -> tuple[Tensor, Tensor]:
        """Return the class of each pixel as int64, 0 where it is ignored, and whether it counts."""
        logits: Tensor = inputs["logits"]
        targets: Tensor = inputs["targets"].long()
        if targets.shape != logits.shape[:3]:
            raise self.refuse("targets", f"a class for each pixel, {list(logits.shape[:3])}", inputs["targets"])
        counts = torch.ones_like(targets, dtype=torch.bool) if ignored is None else targets != ignored
        # Asked for here: on a GPU a class that is out of range would end the process.
        if bool((counts & ((targets < 0) | (targets >= classes))).any()):
            low, high = int(targets[counts].min()), int(targets[counts].max())
            raise self.refuse("targets", f"classes of 0 to {classes - 1} (there are {low} to {high})", targets)
        return targets.masked_fill(~counts, 0), counts


class CrossEntropyLoss(_ClassLoss):
    """Mean of ``-w_t log softmax(logits)_t`` over the pixels of class t, weighted: divided by the sum of their w_t.

    0 where no pixel counts.

    Args:
        weight: Factor of the loss.
        class_weights: Weight w of each class; 1 when left out.
        ignore_index: Class of pixels that do not count.
    """

    # Weights of classes are an argument; the reference package keeps a copy of them as state as well.
    legacy_state = frozenset({"_class_weights"})

    def __init__(
        self, weight: float = 1.0, class_weights: Sequence[float] | None = None, ignore_index: int = -100
    ) -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.class_weights = (
            None if class_weights is None else [number("class_weights", value, at_least=0) for value in class_weights]
        )
        self.ignored = int(ignore_index)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        classes = logits.shape[3]
        if classes < 2 or len(self.class_weights or ()) not in (0, classes):
            expected = "at least 2" if self.class_weights is None else str(len(self.class_weights))
            raise self.refuse("logits", f"{expected} classes", logits)
        targets, counts = self._classes(inputs, self.ignored, classes)
        weights = logits.new_tensor(self.class_weights or [1.0] * classes)
        total = functional.cross_entropy(logits[counts], targets[counts], weight=weights, reduction="sum")
        return {"loss": self.weight * total / weights[targets[counts]].sum().clamp_min(_TINY)}


class DiceLoss(_ClassLoss):
    """``1 - mean_k (2 sum p_k g_k + eps) / (sum p_k + sum g_k + eps)`` over the classes k, with sums over all pixels.

    The probabilities p are a softmax, and g is 1 at pixels of the class. A single logit stands for class 1 against all
    others, by a sigmoid.

    Source: F. Milletari, N. Navab, S.-A. Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical
    image segmentation", 3DV, 2016.

    Args:
        weight: Factor of the loss.
        ignore_index: Class of pixels that do not count; all do when left out.
        include_background: Whether class 0 counts among several.
        eps: Keeps the ratio of a class without pixels finite.
    """

    def __init__(
        self,
        weight: float = 1.0,
        ignore_index: int | None = None,
        include_background: bool = True,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.ignored = None if ignore_index is None else int(ignore_index)
        self.first = 0 if include_background else 1
        self.eps = number("eps", eps, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        logits: Tensor = inputs["logits"]
        classes = logits.shape[3]
        if classes == 0:
            raise self.refuse("logits", "at least 1 class", logits)
        single = classes == 1
        targets, counts = self._classes(inputs, self.ignored, torch.iinfo(torch.int32).max if single else classes)
        valid = counts.unsqueeze(-1).to(logits.dtype)
        if single:
            predicted, true = torch.sigmoid(logits) * valid, (targets == 1).unsqueeze(-1) * valid
        else:
            predicted = (torch.softmax(logits, dim=3) * valid)[..., self.first :]
            true = (functional.one_hot(targets, classes) * valid)[..., self.first :]
        both = (predicted * true).sum(dim=(0, 1, 2))
        either = predicted.sum(dim=(0, 1, 2)) + true.sum(dim=(0, 1, 2))
        return {"loss": self.weight * (1 - ((2 * both + self.eps) / (either + self.eps)).mean())}


class IoULoss(Loss):
    """``1 - (I + smooth) / (U + smooth)``, with ``I = sum p t`` and ``U = sum p + sum t - I`` over all pixels.

    Source: M. A. Rahman, Y. Wang, "Optimizing intersection-over-union in deep neural networks for image segmentation",
    ISVC, 2016.

    Args:
        weight: Factor of the loss.
        smooth: Keeps the ratio of empty masks finite.
        normalize_method: How scores become p of 0 to 1: ``sigmoid``, ``clamp``, or ``minmax`` between the least and the
            largest of the batch, where a batch of one score alone is 0.5.
    """

    tags = _TAGS
    inputs = ports(
        predictions=Port(torch.float32, (-1, -1, -1, 1), description="Scores [B, H, W, 1]"),
        targets=Port(torch.bool, (-1, -1, -1, 1), description="Anomalous pixels [B, H, W, 1]"),
    )
    outputs = LOSS

    def __init__(self, weight: float = 1.0, smooth: float = 1e-6, normalize_method: str = "sigmoid") -> None:
        super().__init__()
        self.weight = number("weight", weight)
        self.smooth = number("smooth", smooth, above=0)
        self.method = choice("normalize_method", normalize_method, ("sigmoid", "clamp", "minmax"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        scores: Tensor = inputs["predictions"]
        targets: Tensor = inputs["targets"]
        if targets.shape != scores.shape:
            raise self.refuse("targets", f"the shape of the predictions, {list(scores.shape)}", targets)
        predicted = self._to_unit(scores)
        true = targets.to(scores.dtype)
        both = (predicted * true).sum()
        either = predicted.sum() + true.sum() - both
        return {"loss": self.weight * (1 - (both + self.smooth) / (either + self.smooth))}

    def _to_unit(self, scores: Tensor) -> Tensor:
        if self.method == "sigmoid":
            return torch.sigmoid(scores)
        if self.method == "clamp":
            return scores.clamp(0, 1)
        if scores.numel() == 0:
            return scores
        low, high = torch.aminmax(scores)
        scaled = (scores - low) / (high - low + self.smooth)
        return torch.where(high > low, scaled, 0.5)
