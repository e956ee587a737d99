"""Building a graph from a document: nodes, edges, order, and the rules that a graph must keep."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from swath.documents import ConnectionDocument, PipelineDocument
from swath.engine.graph import registry
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, mismatch
from swath.errors import GraphInvalid


@dataclass(frozen=True)
class Edge:
    """An output port joined to an input port."""

    source: str
    output: str
    target: str
    input: str

    @property
    def key(self) -> str:
        """The output that it starts from, as ``node.port``."""
        return f"{self.source}.{self.output}"


def build_nodes(document: PipelineDocument, plugins: registry.NodeSource | None = None) -> dict[str, Node]:
    """Build the nodes of a document, by name in its order.

    Args:
        document: The pipeline.
        plugins: Classes beside the built-in ones.

    Raises:
        GraphInvalid: A name is used twice or cannot be one, or a node cannot be built.
    """
    nodes: dict[str, Node] = {}
    for entry in document.nodes:
        if not entry.name or "." in entry.name:
            raise GraphInvalid(f"Node name '{entry.name}' is empty or holds a dot", metadata={"node": entry.name})
        if entry.name in nodes:
            raise GraphInvalid(f"Node name '{entry.name}' is used twice", metadata={"node": entry.name})
        nodes[entry.name] = registry.create(entry.class_name, entry.name, entry.hparams, plugins)
    return nodes


def build_edges(connections: Iterable[ConnectionDocument], nodes: Mapping[str, Node]) -> tuple[Edge, ...]:
    """Join the nodes.

    Raises:
        GraphInvalid: An end names no node or port, two ports do not match, or a port that takes one edge gets two.
    """
    edges: list[Edge] = []
    taken: dict[tuple[str, str], Edge] = {}
    for connection in connections:
        start, end = connection.start, connection.end
        edge = Edge(start.node, start.port, end.node, end.port)
        if edge in edges:
            continue
        source, target = (
            _port(edge.source, edge.output, nodes, "output"),
            _port(edge.target, edge.input, nodes, "input"),
        )
        fault = mismatch(source, nodes[edge.source], target, nodes[edge.target])
        if fault:
            raise GraphInvalid(
                f"Cannot connect {edge.key} to {edge.target}.{edge.input}: {fault}",
                metadata={"node": edge.target, "port": edge.input},
            )
        former = taken.setdefault((edge.target, edge.input), edge)
        if former is not edge and not target.variadic:
            raise GraphInvalid(
                f"Input port '{edge.input}' of node '{edge.target}' takes one edge, but both {former.key} and "
                f"{edge.key} end there",
                metadata={"node": edge.target, "port": edge.input},
            )
        edges.append(edge)
    return tuple(edges)


def sort(nodes: Mapping[str, Node], edges: Iterable[Edge]) -> tuple[str, ...]:
    """Return the names of the nodes so that each comes after those it depends on, else in the given order.

    Raises:
        GraphInvalid: There is a cycle.
    """
    sorter = graphlib.TopologicalSorter({name: [] for name in nodes})
    for edge in edges:
        sorter.add(edge.target, edge.source)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        path = " -> ".join(reversed(error.args[1]))
        raise GraphInvalid(f"Graph contains a cycle: {path}") from error
    position = {name: index for index, name in enumerate(nodes)}
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return tuple(order)


def ancestors(targets: Iterable[str], edges: Iterable[Edge]) -> set[str]:
    """Return the names of all nodes that the targets depend on, and the targets themselves."""
    parents: dict[str, set[str]] = {}
    for edge in edges:
        parents.setdefault(edge.target, set()).add(edge.source)
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(parents.get(name, ()))
    return found


def waves(names: Iterable[str], edges: Collection[Edge]) -> tuple[tuple[str, ...], ...]:
    """Group nodes so that each is in the first group after those of all given nodes that it depends on.

    Args:
        names: The nodes, each after those it depends on.
        edges: All edges of the graph.
    """
    wave: dict[str, int] = {}
    for name in names:
        before = ancestors([name], edges) - {name}
        wave[name] = max((wave[other] + 1 for other in before if other in wave), default=0)
    count = max(wave.values(), default=-1) + 1
    return tuple(tuple(name for name in wave if wave[name] == index) for index in range(count))


def _port(node: str, port: str, nodes: Mapping[str, Node], side: str) -> Port:
    role = "Source" if side == "output" else "Target"
    if node not in nodes:
        raise GraphInvalid(f"{role} node not found: {node}; there are {_names(nodes)}", metadata={"node": node})
    ports = nodes[node].outputs if side == "output" else nodes[node].inputs
    if port not in ports:
        raise GraphInvalid(
            f"{side.capitalize()} port '{port}' not found on node '{node}'; "
            f"{type(nodes[node]).__name__} has {_names(ports)}",
            metadata={"node": node, "port": port},
        )
    return ports[port]


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
