"""What requests of a version have to fit, beside what is published of it: known once its model is loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.published.model import TensorSpec
from swath_inference.dataplane.models import Key
from swath_inference.protocols.oip.tensors.datatypes import DATATYPES, datatype_of, torch_types
from swath_inference.published.calls import ModelCalls
from swath_inference.published.model import Published

if TYPE_CHECKING:
    from swath.engine.graph.ports import Port
    from swath_inference.dataplane.models import Model

_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Traits:
    """What requests of a version have to fit.

    Attributes:
        max_batch_size: Most items of a batch; 0 where the first axes of its tensors are not the batch's.
        takes: Names of the datatypes that each input takes, which may be more than the one that it is described by.
    """

    max_batch_size: int = 0
    takes: Mapping[str, Collection[str]] = field(default_factory=dict)


class ModelTraits:
    """The traits of each version, worked out once it is loaded.

    Args:
        calls: Loads versions.
        limit: Most items of a batch.
    """

    def __init__(self, calls: ModelCalls, limit: int) -> None:
        self._calls = calls
        self._limit = limit
        self._known: dict[Key, Traits] = {}

    async def of(self, published: Published) -> Traits:
        """Return those of a version.

        Raises:
            SwathError: It cannot be loaded.
        """
        known = self._known.get(published.key)
        if known is None:
            model = await self._calls.model(published)
            known = Traits(self._limit if _batches(model, published) else 0, _takes(model))
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


def _takes(model: Model) -> dict[str, frozenset[str]]:
    from swath.engine.graph.ports import Stage

    return {name: frozenset(_names(port)) for name, port in model.pipeline.input_specs(Stage.INFERENCE).items()}


def _names(port: Port) -> set[str]:
    """Return the datatypes that a port takes."""
    from swath.engine.graph.ports import ANY, Kind

    by_type = torch_types()[1]
    if port.dtype is ANY:
        return {each.name for each in by_type.values()}
    return {
        datatype_of(dtype.value).name if isinstance(dtype, Kind) else by_type[dtype].name
        for dtype in port.dtypes
        if isinstance(dtype, Kind) or dtype in by_type
    } & DATATYPES.keys()
