"""The devices of a replica: each has a thread, a queue before it, and models on it. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from swath.engine.graph.ports import Stage
from swath.engine.stored import open_pipeline
from swath_inference.dataplane.batcher import Batcher
from swath_inference.dataplane.executor import DeviceThread, memory_errors
from swath_inference.dataplane.forward import compile_nodes, forward
from swath_inference.dataplane.limits import Limits
from swath_inference.dataplane.merging import merge_key, mergeable
from swath_inference.dataplane.models import OVERHEAD, Model


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: Of torch.
        thread: Computes on it.
        queue: What waits for it.
    """

    name: str
    thread: DeviceThread
    queue: Batcher


def with_queues(threads: Sequence[DeviceThread], names: Sequence[str], limits: Limits) -> list[Device]:
    """Return devices whose threads compute pipelines."""
    return [
        Device(name, thread, Batcher(thread, forward, merge_key, attrgetter("size"), limits))
        for name, thread in zip(names, threads, strict=True)
    ]


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
