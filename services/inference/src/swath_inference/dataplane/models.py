"""Models: pipelines with weights on a device, ready for inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath_inference.dataplane.executor import memory_errors
from swath_inference.dataplane.request import Apart, Pace

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline

Key = tuple[str, str | None]
"""Pipeline digest and weights digest."""

OVERHEAD = 128 * 1024
"""Bytes that a model counts for beyond its tensors: otherwise those without any would never be evicted."""


@dataclass(eq=False)
class Model:
    """A pipeline on its device, in eval mode.

    Attributes:
        pipeline: The pipeline.
        outputs: Its outputs at inference, `node.port`, in the order of its nodes.
        names: What its outputs may be asked for by: `node.port` and bare port names.
        size: Bytes of its parameters and buffers, and `OVERHEAD`.
        device: Name of its device.
        place: Which of the devices of the replica that is, from 0.
        merges: Whether batches of different calls are computed together; it ends when an output could not be parted.
        inline: Whether a forward may run on the event loop, if it is quick.
        pace: How long its last forwards took.
        apart: Calls that are computed alone, since together they failed.
    """

    pipeline: Pipeline
    outputs: tuple[str, ...]
    names: frozenset[str]
    size: int
    device: str = "cpu"
    place: int = 0
    merges: bool = False
    inline: bool = False
    pace: Pace = field(default_factory=Pace)
    apart: Apart = field(default_factory=Apart)
    _calls: int = 0
    _last: Callable[[Model], None] | None = None

    def enter(self) -> None:
        """Keep the pipeline open during a call, which then has to `leave`, even if the cache drops it meanwhile."""
        self._calls += 1

    def leave(self) -> None:
        """Count a call no longer."""
        self._calls -= 1
        if self._last is not None:
            self._end()

    def drop(self, dropped: Callable[[Model], None]) -> None:
        """Have `dropped` called with the model as soon as no call waits for it."""
        self._last = dropped
        self._end()

    def _end(self) -> None:
        if self._last is not None and not self._calls:
            dropped, self._last = self._last, None
            dropped(self)


def build_model(document: bytes, weights: bytes | None, device: str, place: int, *, compiled: bool) -> Model:
    """Return a model on a device.

    Args:
        document: The pipeline.
        weights: Its weights; None for those that it begins with.
        device: Name of the device.
        place: Which of the devices of the replica that is, from 0.
        compiled: Whether nodes with parameters are compiled.

    Raises:
        WeightsInvalid: The weights do not fit the pipeline.
        OutOfMemory: The device has not enough memory.
    """
    from swath.engine.graph.ports import Stage
    from swath.engine.stored import open_pipeline
    from swath_inference.dataplane.forward import compile_nodes
    from swath_inference.dataplane.merging import mergeable

    with memory_errors("the device has not enough memory for this model: free some, or serve it on a larger device"):
        pipeline = open_pipeline(document, weights)
        pipeline.to(device)
    ports = [
        (name, port)
        for name in pipeline.order
        if Stage.INFERENCE in pipeline.nodes[name].stages
        for port in pipeline.nodes[name].outputs
    ]
    outputs = tuple(f"{name}.{port}" for name, port in ports)
    size = sum(tensor.nbytes for node in pipeline.state().values() for tensor in node.values())
    if compiled:
        compile_nodes(pipeline)
    return Model(
        pipeline.eval(),
        outputs,
        frozenset((*outputs, *(port for _, port in ports))),
        size + OVERHEAD,
        device=device,
        place=place,
        merges=mergeable(pipeline),
        # Nodes with an effect write files, which may take any time.
        inline=device == "cpu" and not pipeline.effect,
    )
