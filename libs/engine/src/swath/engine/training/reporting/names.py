"""Which outputs of a pipeline are reported, and under which names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import LIST

METRICS_PORT = "metrics"


def metric_nodes(pipeline: Pipeline, chosen: Collection[str] = ()) -> tuple[str, ...]:
    """Return the chosen names; if there are none, those of all nodes that measure something."""
    if chosen:
        return tuple(chosen)
    return tuple(
        name
        for name in pipeline.order
        if (port := pipeline.nodes[name].outputs.get(METRICS_PORT)) is not None and port.dtype is LIST
    )


def loss_parts(pipeline: Pipeline, nodes: Sequence[str]) -> dict[str, str]:
    """Return the name of each output of the loss nodes: that of the node, or ``node_port`` if it has several."""
    parts: dict[str, str] = {}
    for name in dict.fromkeys(nodes):
        ports = pipeline.nodes[name].outputs
        for port in ports:
            parts[f"{name}.{port}"] = name if len(ports) == 1 else f"{name}_{port}"
    return parts
