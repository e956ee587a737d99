"""Batches of several calls as one, and the outputs of one as those of several (docs/explanation/batching.md)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.independence import Independence
from swath.engine.graph.pipeline import Pipeline
from swath_inference.dataplane.request import Batch, InferRequest

_MOST_COMMON_BYTES = 1 << 16
"""Bytes of a value of the whole batch up to which it is compared; calls with larger ones are computed alone."""


def mergeable(pipeline: Pipeline) -> bool:
    """Whether batches of different calls may be computed together."""
    return pipeline.independence >= Independence.FRAME and not pipeline.stateful and not pipeline.effect


def merge_key(request: InferRequest) -> Hashable | None:
    """Return what requests that may be computed together have in common; None for one that is computed alone.

    That is the model, the outputs wanted, names, types and shapes of the inputs but for the batch axis, and the values
    that belong to a whole batch, such as wavelengths.
    """
    if not request.model.merges or request.alone or request.observe is not None:
        return None
    common = request.model.pipeline.common_inputs
    key: list[Hashable] = []
    items = None
    for name, value in sorted(request.batch.items()):
        if not isinstance(value, Tensor):
            return None
        if name in common:
            if value.nbytes > _MOST_COMMON_BYTES:
                return None
            # Of its own: what is a view of shared memory may change before the others of the batch are computed.
            value = request.batch[name] = value.clone(memory_format=torch.contiguous_format)
            key.append((name, value.dtype, value.shape, value.view(torch.uint8).numpy().tobytes()))
        elif value.dim() == 0 or (items is not None and value.shape[0] != items):
            return None
        else:
            items = value.shape[0]
            key.append((name, value.dtype, value.shape[1:]))
    found = (request.only, *key)
    return found if items and found not in request.model.apart else None


def items_of(request: InferRequest) -> int:
    """Return the items of a request that has a `merge_key`."""
    common = request.model.pipeline.common_inputs
    return next(value.shape[0] for name, value in request.batch.items() if name not in common)


def joined(requests: Sequence[InferRequest]) -> Batch:
    """Return the batch of several requests with one `merge_key`, in their order."""
    first = requests[0]
    common = first.model.pipeline.common_inputs
    return {
        name: value if name in common else torch.cat([request.batch[name] for request in requests])
        for name, value in first.batch.items()
    }


def parted(outputs: dict[str, Any], items: Sequence[int], common: frozenset[str]) -> list[dict[str, Any]] | None:
    """Return the outputs of each of several requests; None where an output is neither of items nor of the batch.

    Args:
        outputs: Those of the joined batch, by `node.port`.
        items: How many items each request has.
        common: Outputs that belong to the whole batch.
    """
    total = sum(items)
    parts: list[dict[str, Any]] = [{} for _ in items]
    for key, value in outputs.items():
        if key in common:
            shares: Sequence[Any] = [value] * len(items)
        elif isinstance(value, Tensor) and value.dim() and value.shape[0] == total:
            shares = value.split(list(items))
        else:
            return None
        for part, share in zip(parts, shares, strict=True):
            part[key] = share
    return parts
