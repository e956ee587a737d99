"""Whether the first axes of a model's tensors are the batch's, as the protocol has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.published.model import TensorSpec
from swath_inference.dataplane.models import Key
from swath_inference.protocols.oip.tensors.datatypes import datatype_of
from swath_inference.published.calls import ModelCalls
from swath_inference.published.model import Published

if TYPE_CHECKING:
    from swath_inference.dataplane.models import Model

_KEPT = 1024


class Batching:
    """The largest batch of each version, worked out once it is loaded.

    Args:
        calls: Loads versions.
        limit: Most items of a batch.
    """

    def __init__(self, calls: ModelCalls, limit: int) -> None:
        self._calls = calls
        self._limit = limit
        self._known: dict[Key, int] = {}

    async def of(self, published: Published) -> int:
        """Return the most items of a batch of a version; 0 where the first axes of its tensors are not the batch's.

        Raises:
            SwathError: It cannot be loaded.
        """
        known = self._known.get(published.key)
        if known is None:
            model = await self._calls.model(published)
            known = self._limit if _batches(model, published) else 0
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[published.key] = known
        return known


def _batches(model: Model, published: Published) -> bool:
    """Whether every declared tensor has an axis of items in front, and items have nothing to do with one another."""
    from swath_inference.dataplane.merging import mergeable

    pipeline = model.pipeline
    if not mergeable(pipeline):
        return False
    common = pipeline.common_inputs | pipeline.common_outputs
    return all(each.name not in common and _has_items(each) for each in (*published.inputs, *published.outputs))


def _has_items(spec: TensorSpec) -> bool:
    return bool(datatype_of(spec.dtype).size) and spec.shape[:1] == (-1,)
