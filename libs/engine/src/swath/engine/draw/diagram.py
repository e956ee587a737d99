"""Pipelines as pictures: boxes with ports, types and fitted state, edges from port to port."""

from __future__ import annotations

import colorsys
import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from swath.engine.draw.layout import Box, Layout, Link, place
from swath.engine.draw.markup import COLOURS, fitted_state
from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Port

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 26.0
_TITLE, _SMALL, _PORT, _TYPE = 10.5, 8.0, 8.5, 7.0
_ROW, _HEAD, _PAD = 25.0, 36.0, 10.0
_STATES = {"fitted": "#2e7d32", "not fitted": "#c25700"}
_INK, _FAINT, _LINE = "#1f2933", "#6b7682", "#9aa5b1"
_MAX_PIXELS = 40_000_000
_DPI = 144
# matplotlib keeps settings of its writers in one place for all threads.
_writing = threading.Lock()


@dataclass(frozen=True)
class _Port:
    name: str
    kind: str
    joined: bool
    optional: bool


@dataclass(frozen=True)
class _Card:
    """What is written on a box."""

    name: str
    class_name: str
    state: str
    category: str
    inputs: tuple[_Port, ...]
    outputs: tuple[_Port, ...]


def png(pipeline: Pipeline) -> bytes:
    """Return a picture of a pipeline as PNG."""
    return _draw(pipeline, "png")


def svg(pipeline: Pipeline) -> bytes:
    """Return a picture of a pipeline as SVG; its letters are outlines, so that it looks the same everywhere."""
    return _draw(pipeline, "svg")


def _draw(pipeline: Pipeline, kind: str) -> bytes:
    import matplotlib as mpl  # slow to import, and only pictures need it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cards = [_card(pipeline, name) for name in pipeline.order]
    boxes = [_box(card) for card in cards]
    links = [Link(edge.source, edge.output, edge.target, edge.input) for edge in pipeline.edges]
    layout = place(boxes, links)
    categories = list(dict.fromkeys(card.category for card in cards))
    title = pipeline.metadata.name if pipeline.metadata else ""
    head = 30.0 if title else 0.0
    legend = sum(_width(name, _SMALL) + 30 for name in categories)
    width = max(layout.width, legend, _width(title, 14.0, bold=True)) + 2 * _MARGIN
    height = layout.height + head + 34.0 + 2 * _MARGIN
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _MARGIN - head, -_MARGIN - head)
    axes.set_axis_off()
    if title:
        axes.text(0, -head / 2 - 6, title, size=14, weight="bold", color=_INK, va="center", parse_math=False)
    _edges(axes, links, layout)
    for card, box in zip(cards, boxes, strict=True):
        _paint(axes, card, box)
    _legend(axes, categories, layout.height + 26)
    dpi = min(_DPI, (_MAX_PIXELS / (width * height)) ** 0.5 * 72, 60_000 / max(width, height) * 72)
    buffer = io.BytesIO()
    with _writing, mpl.rc_context({"svg.hashsalt": "swath", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _card(pipeline: Pipeline, name: str) -> _Card:
    node = pipeline.nodes[name]
    joined = {edge.input for edge in pipeline.edges if edge.target == name}
    taken = {edge.output for edge in pipeline.edges if edge.source == name}
    return _Card(
        name,
        type(node).__name__,
        fitted_state(node),
        node.category,
        _ports(node.inputs, node, joined),
        _ports(node.outputs, node, taken),
    )


def _ports(ports: Mapping[str, Port], node: Node, joined: set[str]) -> tuple[_Port, ...]:
    return tuple(_Port(name, _kind(port, node), name in joined, port.optional) for name, port in ports.items())


def _kind(port: Port, node: Node) -> str:
    """Return the type of a port in short: ``float32 [· · · 61]``."""
    name, bracket, sizes = port.describe(node).partition("[")
    several = "|" in name
    name = name.partition("|")[0] + (" …" if several else "")
    return f"{name} [{sizes.replace('-1', '·').replace(',', ' ')}" if bracket else name


def _box(card: _Card) -> Box:
    rows = max(len(card.inputs), len(card.outputs))
    left, right = (max((_port_width(port) for port in side), default=0.0) for side in (card.inputs, card.outputs))
    badge = _width(card.state, _SMALL) + 22 if card.state else 0.0
    head = max(_width(card.name, _TITLE, bold=True) + badge, _width(card.class_name, _SMALL))
    offsets = [_HEAD + _ROW * (row + 0.5) + 4 for row in range(rows)]
    return Box(
        card.name,
        max(head + 2 * _PAD, left + right + 2 * _PAD + (18 if left and right else 0)),
        _HEAD + _ROW * rows + 8,
        dict(zip((port.name for port in card.inputs), offsets, strict=False)),
        dict(zip((port.name for port in card.outputs), offsets, strict=False)),
    )


def _port_width(port: _Port) -> float:
    return max(_width(port.name, _PORT), _width(port.kind, _TYPE))


@lru_cache(maxsize=4096)
def _width(text: str, size: float, *, bold: bool = False) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    properties = FontProperties(size=size, weight="bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(text, properties, ismath=False)[0]


def _edges(axes: Axes, links: list[Link], layout: Layout) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    sources = list(dict.fromkeys((link.source, link.output) for link in links))
    for link in links:
        points = layout.routes[link]
        vertices, codes = [points[0]], [Path.MOVETO]
        for index, (x, y) in enumerate(points[1:], 1):
            last_x, last_y = vertices[-1]
            if index % 2 == 1:
                vertices.append((x, y))
                codes.append(Path.LINETO)
            else:
                bend = (x - last_x) * 0.5
                vertices += [(last_x + bend, last_y), (x - bend, y), (x, y)]
                codes += [Path.CURVE4] * 3
        colour = _edge_colour(sources.index((link.source, link.output)))
        axes.add_patch(PathPatch(Path(vertices, codes), fill=False, edgecolor="white", linewidth=4.2, zorder=1))
        axes.add_patch(PathPatch(Path(vertices, codes), fill=False, edgecolor=colour, linewidth=1.5, zorder=1.5))
        x, y = points[-1]
        axes.fill([x - 7, x - 1, x - 7], [y - 3.4, y, y + 3.4], color=colour, zorder=4, linewidth=0)


def _edge_colour(index: int) -> str:
    """Return a colour that differs from its neighbours', dark enough for a thin line."""
    red, green, blue = colorsys.hls_to_rgb((0.58 + index * 0.618034) % 1.0, 0.42, 0.5)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _paint(axes: Axes, card: _Card, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    style = "round,pad=0,rounding_size=6"
    fill = COLOURS.get(card.category, "#ffffff")
    x, y = box.x, box.y
    for colour, clip in (("white", None), (fill, (x, y, box.width, _HEAD))):
        body = FancyBboxPatch(
            (x, y), box.width, box.height, boxstyle=style, facecolor=colour, edgecolor=_LINE, linewidth=1.1, zorder=2
        )
        axes.add_patch(body)
        if clip is not None:
            body.set_clip_path(Rectangle(clip[:2], clip[2], clip[3], transform=axes.transData))
    axes.plot([x, x + box.width], [y + _HEAD, y + _HEAD], color=_LINE, linewidth=0.8, zorder=3)
    text = {"va": "center", "parse_math": False, "zorder": 5}
    alone = card.class_name == card.name
    axes.text(x + _PAD, y + (18 if alone else 12.5), card.name, size=_TITLE, weight="bold", color=_INK, **text)
    if not alone:
        axes.text(x + _PAD, y + 26, card.class_name, size=_SMALL, color=_FAINT, **text)
    if card.state:
        width = _width(card.state, _SMALL) + 12
        left, middle = x + box.width - _PAD - width, y + (18 if alone else 12.5)
        badge = FancyBboxPatch(
            (left, middle - 7),
            width,
            14,
            boxstyle="round,pad=0,rounding_size=7",
            facecolor=_STATES[card.state],
            edgecolor="none",
            zorder=4,
        )
        axes.add_patch(badge)
        axes.text(left + width / 2, middle, card.state, size=_SMALL, color="white", ha="center", **text)
    for port in card.inputs:
        _paint_port(axes, port, x, y + box.inputs[port.name], 1)
    for port in card.outputs:
        _paint_port(axes, port, x + box.width, y + box.outputs[port.name], -1)


def _paint_port(axes: Axes, port: _Port, x: float, y: float, side: int) -> None:
    """Write a port beside its dot: full where an edge is, hollow where none is; optional ones are faint."""
    if side < 0 or not port.joined:  # else the arrow's head stands there
        axes.plot(
            [x],
            [y],
            marker="o",
            markersize=5,
            markerfacecolor=_FAINT if port.joined else "white",
            markeredgecolor=_FAINT,
            markeredgewidth=1.0,
            zorder=4,
            linestyle="none",
        )
    align = "left" if side > 0 else "right"
    colour = _FAINT if port.optional and not port.joined else _INK
    text = {"va": "center", "ha": align, "parse_math": False, "zorder": 5}
    axes.text(x + side * _PAD, y - 4.5, port.name, size=_PORT, color=colour, **text)
    axes.text(x + side * _PAD, y + 6, port.kind, size=_TYPE, color=_FAINT, **text)


def _legend(axes: Axes, categories: list[str], y: float) -> None:
    x = 0.0
    for name in categories:
        axes.fill(
            [x, x + 12, x + 12, x],
            [y - 6, y - 6, y + 6, y + 6],
            facecolor=COLOURS.get(name, "#ffffff"),
            edgecolor=_LINE,
            linewidth=0.8,
        )
        axes.text(x + 17, y, name, size=_SMALL, color=_FAINT, va="center", parse_math=False)
        x += 17 + _width(name, _SMALL) + 18
