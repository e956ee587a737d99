"""What parts of a batch have to do with one another in a whole graph."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import ANY, Kind, Port
from swath.engine.graph.structure.builder import Edge


class Parts(NamedTuple):
    """The parts of a batch in a graph.

    Attributes:
        independence: What they have to do with one another.
        common_inputs: Batch keys whose values belong to the whole batch.
        common_outputs: Outputs, ``node.port``, that do.
    """

    independence: Independence
    common_inputs: frozenset[str]
    common_outputs: frozenset[str]


def parts_of(nodes: Mapping[str, Node], edges: Collection[Edge]) -> Parts:
    """Return the parts of a batch in the nodes that run.

    A value of all items that reaches a port of the whole batch, or the other way round, makes a graph `BATCH`, whatever
    its nodes say; and so does an edge of lists and the like, which nobody can cut.

    Args:
        nodes: Nodes that run, by name.
        edges: Edges; those from or to other nodes count for nothing.
    """
    inner = [edge for edge in edges if edge.source in nodes and edge.target in nodes]
    fed = {(edge.target, edge.input) for edge in edges}
    free = [(key, port) for name, node in nodes.items() for key, port in node.inputs.items() if (name, key) not in fed]
    common = frozenset(key for key, port in free if port.common)
    apart = all(port.common for key, port in free if key in common) and all(
        _separable(nodes[edge.source].outputs[edge.output], nodes[edge.target].inputs[edge.input]) for edge in inner
    )
    independence = Independence.of_all(_of(node) for node in nodes.values())
    return Parts(
        independence if apart else Independence.BATCH,
        common,
        frozenset(f"{name}.{key}" for name, key in _common_outputs(nodes)),
    )


def _of(node: Node) -> Independence:
    return Independence.BATCH if node.stateful else node.independence


def _separable(source: Port, target: Port) -> bool:
    lists = isinstance(source.dtype, Kind) and source.dtype is not ANY
    return source.common == target.common and (source.common or not lists)


def _common_outputs(nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    return ((name, key) for name, node in nodes.items() for key, port in node.outputs.items() if port.common)
