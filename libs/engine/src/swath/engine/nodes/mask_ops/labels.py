"""Nodes that give labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, whole

_GREATEST = 2**31 - 1


class MajorityVoteByBlob(Node):
    """Gives each blob the most frequent label above 0 of its pixels; of equally frequent ones the lowest.

    Blobs without a label, and what is outside of blobs, are 0.
    """

    category = "transform"
    tags = ("mask", "segmentation", "classification")
    inputs = ports(
        identity_mask=Port(torch.int32, (1, -1, -1), description="Label of each pixel, 0 for none [1, H, W]"),
        blob_mask=Port(torch.int32, (1, -1, -1), description="Number of the blob of each pixel, 0 for none [1, H, W]"),
    )
    outputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Label of the blob of each pixel [1, H, W]"))

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        labels: Tensor = inputs["identity_mask"]
        blobs: Tensor = inputs["blob_mask"]
        if labels.shape != blobs.shape:
            raise self.refuse("blob_mask", f"a map of the shape of identity_mask, {list(labels.shape)}", blobs)
        numbers, blob = torch.unique(blobs, return_inverse=True)
        values, label = torch.unique(labels, return_inverse=True)
        voting = (blobs != 0) & (labels > 0)
        pairs, votes = torch.unique(blob[voting] * len(values) + label[voting], return_counts=True)
        which, candidate = pairs // max(len(values), 1), values[pairs % max(len(values), 1)]
        most = votes.new_zeros(len(numbers)).scatter_reduce_(0, which, votes, "amax")
        winning = votes == most[which]
        winner = candidate.new_full((len(numbers),), _GREATEST)
        winner.scatter_reduce_(0, which[winning], candidate[winning], "amin")
        return {"mask": torch.where(most > 0, winner, 0)[blob]}


class LabelOffset(Node):
    """``label + offset``.

    Args:
        offset: What is added.
    """

    category = "transform"
    tags = ("mask", "segmentation", "classification")
    independence = Independence.PIXEL
    inputs = ports(class_map=Port(torch.int32, (-1, -1, -1), description="Labels [B, H, W]"))
    outputs = ports(class_map=Port(torch.int32, (-1, -1, -1), description="Labels plus the offset [B, H, W]"))

    def __init__(self, offset: int = 1) -> None:
        super().__init__()
        self.offset = whole("offset", offset, at_least=-_GREATEST)
        if self.offset > _GREATEST:
            raise ValueError(f"offset must be at most {_GREATEST}, got {offset!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"class_map": inputs["class_map"] + self.offset}


class MaskComposite(Node):
    """Joins masks into one map of labels and one of levels; where masks overlap the greatest of each wins.

    Args:
        labels: Whole number from 1 of each mask, in the order of the edges; 1 and 2 when left out.
        levels: Number from 0 of each mask; 0.5 and 1.0 when left out.
    """

    category = "transform"
    tags = ("mask", "torch")
    independence = Independence.PIXEL
    inputs = ports(
        decisions=Port(
            torch.bool, (-1, -1, -1, -1), variadic=True, description="Masks, set in any channel [B, H, W, C]"
        )
    )
    outputs = ports(
        mask=Port(torch.int32, (-1, -1, -1), description="Label of each pixel, 0 for none [B, H, W]"),
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Level of each pixel, 0 for none [B, H, W, 1]"),
    )

    def __init__(self, labels: Sequence[int] | None = None, levels: Sequence[float] | None = None) -> None:
        super().__init__()
        self.labels = [whole("labels", value, at_least=1) for value in ((1, 2) if labels is None else labels)]
        self.levels = [number("levels", value, at_least=0) for value in ((0.5, 1.0) if levels is None else levels)]
        if not self.labels or len(self.labels) != len(self.levels):
            raise ValueError(f"labels and levels must be as many, at least one, got {labels!r} and {levels!r}")
        if max(self.labels) > _GREATEST:
            raise ValueError(f"labels must be at most {_GREATEST}, got {labels!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        masks: list[Tensor] = inputs["decisions"]
        if len(masks) != len(self.labels):
            raise self.refuse("decisions", f"{len(self.labels)} masks, one per label", masks)
        first = masks[0]
        labels = torch.zeros(first.shape[:3], dtype=torch.int32, device=first.device)
        levels = torch.zeros(first.shape[:3], dtype=torch.float32, device=first.device)
        for mask, label, level in zip(masks, self.labels, self.levels, strict=True):
            if mask.shape[:3] != first.shape[:3]:
                raise self.refuse("decisions", f"masks of {list(first.shape[:3])} frames, rows and columns", mask)
            inside = mask.any(dim=-1)
            labels = torch.where(inside, labels.clamp_min(label), labels)
            levels = torch.where(inside, levels.clamp_min(level), levels)
        return {"mask": labels, "scores": levels.unsqueeze(-1)}
