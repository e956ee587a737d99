"""Pipelines as text that other programs draw: Mermaid and Graphviz DOT. `diagram` draws pictures."""

from __future__ import annotations

import html
from collections.abc import Mapping

from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Port
from swath.engine.graph.roles import Fittable

COLOURS = {
    "source": "#d5e8f7",
    "sink": "#e6e6e6",
    "transform": "#eaeef2",
    "model": "#d9ead3",
    "loss": "#f9d9d3",
    "regularizer": "#f9d9d3",
    "metric": "#fdf0cc",
    "visualizer": "#e7def3",
    "control": "#dff0ee",
}
"""Fill colours of nodes, by category."""


def mermaid(pipeline: Pipeline) -> str:
    """Return a Mermaid flow chart: nodes with class and fitted state, edges with their ports."""
    ids = _ids(pipeline)
    lines = ["flowchart LR"]
    for name in pipeline.order:
        node = pipeline.nodes[name]
        parts = [
            f"<b>{_escaped(name)}</b>",
            _escaped(type(node).__name__),
            fitted_state(node),
            *_free_ports(pipeline, name),
        ]
        lines.append(f'    {ids[name]}["{"<br/>".join(part for part in parts if part)}"]:::{node.category}')
    for edge in pipeline.edges:
        label = edge.output if edge.output == edge.input else f"{edge.output} → {edge.input}"
        lines.append(f'    {ids[edge.source]} -- "{_escaped(label)}" --> {ids[edge.target]}')
    for category in dict.fromkeys(pipeline.nodes[name].category for name in pipeline.order):
        lines.append(f"    classDef {category} fill:{COLOURS.get(category, '#ffffff')},stroke:#666,color:#222")
    return "\n".join(lines) + "\n"


def dot(pipeline: Pipeline) -> str:
    """Return a Graphviz graph: nodes with class, fitted state and all ports, edges from port to port."""
    ids = _ids(pipeline)
    lines = [
        "digraph pipeline {",
        "  rankdir=LR;",
        '  node [shape=plain, fontname="Helvetica", fontsize=10];',
        '  edge [color="#666666", arrowsize=0.7];',
    ]
    for name in pipeline.order:
        lines.append(f"  {ids[name]} [label=<{_table(name, pipeline.nodes[name])}>];")
    for edge in pipeline.edges:
        lines.append(f'  {ids[edge.source]}:"o_{edge.output}":e -> {ids[edge.target]}:"i_{edge.input}":w;')
    return "\n".join([*lines, "}"]) + "\n"


def _ids(pipeline: Pipeline) -> dict[str, str]:
    return {name: f"n{index}" for index, name in enumerate(pipeline.order)}


def fitted_state(node: Node) -> str:
    """Return ``fitted`` or ``not fitted``; nothing for a node that has nothing to learn from data first."""
    if not isinstance(node, Fittable) or not node.needs_fit():
        return ""
    return "fitted" if node.fitted else "not fitted"


def _free_ports(pipeline: Pipeline, name: str) -> list[str]:
    """Return one line for the inputs and one for the outputs that have no edge, which edges do not show."""
    node = pipeline.nodes[name]
    joined = {edge.input for edge in pipeline.edges if edge.target == name}
    taken = {edge.output for edge in pipeline.edges if edge.source == name}
    free = {
        "in": [port for port in node.inputs if port not in joined],
        "out": [p for p in node.outputs if p not in taken],
    }
    return [f"<i>{side}: {_escaped(', '.join(names))}</i>" for side, names in free.items() if names]


def _table(name: str, node: Node) -> str:
    state = fitted_state(node)
    title = f"<B>{html.escape(name)}</B><BR/>{html.escape(type(node).__name__)}" + (
        f"<BR/><I>{state}</I>" if state else ""
    )
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" BGCOLOR="{COLOURS.get(node.category, "#ffffff")}"><TR>'
        f"<TD>{_ports('i', node.inputs, node, 'LEFT')}</TD><TD>{title}</TD>"
        f"<TD>{_ports('o', node.outputs, node, 'RIGHT')}</TD></TR></TABLE>"
    )


def _ports(side: str, ports: Mapping[str, Port], node: Node, align: str) -> str:
    if not ports:
        return ""
    rows = "".join(
        f'<TR><TD PORT="{side}_{html.escape(name)}" ALIGN="{align}">{html.escape(name)}'
        f'<FONT POINT-SIZE="7"> {html.escape(port.describe(node))}</FONT></TD></TR>'
        for name, port in ports.items()
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0">{rows}</TABLE>'


def _escaped(text: str) -> str:
    return html.escape(text).replace("&quot;", "#quot;").replace("&", "#").replace("##quot;", "#quot;")
