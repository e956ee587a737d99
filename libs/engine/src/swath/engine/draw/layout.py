"""A layered layout of boxes and the links between their ports, from left to right.

Layers by longest path, order within a layer by barycentres with the fewest crossings kept, heights by medians of what
a box is linked to. A link over several layers runs through a lane in each, and links from one port share their lanes.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981;
heights by the pool-adjacent-violators algorithm (M. Ayer et al., 1955).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

GAP = 22.0
"""Least space between two boxes of a layer."""

LANE = 16.0
"""Height that a link passing by takes."""

_SWEEPS = 16
_MAX_LANES = 4000
"""Links of graphs that would take more lanes run straight."""


@dataclass
class Box:
    """A node to place.

    Attributes:
        name: Its name.
        width: Width.
        height: Height.
        inputs: Distances of the input ports from the top edge, by name.
        outputs: Those of the output ports.
        x: Left edge, once placed.
        y: Top edge, once placed; y grows downwards.
    """

    name: str
    width: float
    height: float
    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Link:
    """An edge from an output port to an input port."""

    source: str
    output: str
    target: str
    input: str


@dataclass
class Layout:
    """Where everything is.

    Attributes:
        width: Of the whole.
        height: Of the whole.
        routes: For each link the points that it runs through; pairs of points are joined level or by a curve.
    """

    width: float
    height: float
    routes: dict[Link, list[tuple[float, float]]]


@dataclass(eq=False)
class _Item:
    """A box or a lane within a layer."""

    layer: int
    height: float
    box: Box | None = None
    y: float = 0.0
    before: list[tuple[_Item, float, float]] = field(default_factory=list)
    """What links come from: item, its port's distance from its top, this one's."""
    after: list[tuple[_Item, float, float]] = field(default_factory=list)


def place(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Place boxes, in topological order, and route links between them."""
    layer_of = _layers(boxes, links)
    items = {box.name: _Item(layer_of[box.name], box.height, box) for box in boxes}
    chains = _chains(items, {box.name: box for box in boxes}, links)
    layers: list[list[_Item]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for item in dict.fromkeys([*items.values(), *(item for chain in chains.values() for item in chain)]):
        layers[item.layer].append(item)
    _order(layers)
    _heights(layers)
    left, columns = 0.0, []
    for layer in layers:
        width = max((item.box.width for item in layer if item.box), default=0.0)
        columns.append((left, left + width))
        left += width + 34.0 + 5.0 * len({id(before) for item in layer for before, _, _ in item.after})
    for item in items.values():
        assert item.box is not None
        start, end = columns[item.layer]
        item.box.x, item.box.y = start + (end - start - item.box.width) / 2, item.y
    routes = {link: _route(link, chain, items, columns) for link, chain in chains.items()}
    lowest = max((item.y + item.height for item in items.values()), default=0.0)
    lowest = max([lowest, *(y for route in routes.values() for _, y in route)])
    return Layout(columns[-1][1] if columns else 0.0, lowest, routes)


def _layers(boxes: Sequence[Box], links: Sequence[Link]) -> dict[str, int]:
    before, after = defaultdict(set), defaultdict(set)
    for link in links:
        before[link.target].add(link.source)
        after[link.source].add(link.target)
    layer: dict[str, int] = {}
    for box in boxes:
        layer[box.name] = max((layer[name] + 1 for name in before[box.name]), default=0)
    # What has more to the right than to the left moves there, so that its links are short.
    for box in reversed(boxes):
        if len(after[box.name]) > len(before[box.name]):
            layer[box.name] = min(layer[name] for name in after[box.name]) - 1
    return layer


def _chains(items: Mapping[str, _Item], boxes: Mapping[str, Box], links: Sequence[Link]) -> dict[Link, list[_Item]]:
    """Return the lanes of each link, and set the links of all items."""
    spans = sum(max(0, items[link.target].layer - items[link.source].layer - 1) for link in links)
    lanes: dict[tuple[str, str, int], _Item] = {}
    chains: dict[Link, list[_Item]] = {}
    for link in links:
        start, end = items[link.source], items[link.target]
        chain: list[_Item] = []
        last, offset = start, boxes[link.source].outputs[link.output]
        for layer in range(start.layer + 1, end.layer) if spans <= _MAX_LANES else ():
            lane = lanes.get((link.source, link.output, layer))
            if lane is None:
                lane = lanes[link.source, link.output, layer] = _Item(layer, LANE)
                _join(last, offset, lane, LANE / 2)
            chain.append(lane)
            last, offset = lane, LANE / 2
        _join(last, offset, end, boxes[link.target].inputs[link.input])
        chains[link] = chain
    return chains


def _join(left: _Item, left_offset: float, right: _Item, right_offset: float) -> None:
    left.after.append((right, right_offset, left_offset))
    right.before.append((left, left_offset, right_offset))


def _order(layers: list[list[_Item]]) -> None:
    """Sort each layer so that few links cross."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            place = _places(layers)
            weights = {}
            for position, item in enumerate(layer):
                joined = item.before if forward else item.after
                values = [place[other] + offset / max(other.height, 1.0) for other, offset, _ in joined]
                weights[item] = sum(values) / len(values) if values else float(position)
            layer.sort(key=weights.__getitem__)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _places(layers: list[list[_Item]]) -> dict[_Item, int]:
    return {item: position for layer in layers for position, item in enumerate(layer)}


def _crossings(layers: list[list[_Item]]) -> int:
    place = _places(layers)
    total = 0
    for layer in layers:
        ends = sorted(
            ((place[item], own), (place[other], offset)) for item in layer for other, offset, own in item.after
        )
        seen: list[tuple[int, float]] = []
        for _, end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _heights(layers: list[list[_Item]]) -> None:
    """Bring each item to the median height of what it is linked to, as far as its layer's order lets it."""
    for layer in layers:
        _settle(layer, [0.0] * len(layer))
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = []
            for item in layer:
                joined = (item.before or item.after) if forward else (item.after or item.before)
                heights = [other.y + offset - own for other, offset, own in joined]
                wanted.append(median(heights) if heights else item.y)
            _settle(layer, wanted)
    top = min((item.y for layer in layers for item in layer), default=0.0)
    for layer in layers:
        for item in layer:
            item.y -= top


def _settle(layer: list[_Item], wanted: Sequence[float]) -> None:
    """Give a layer the heights that are nearest to those wanted, in order and without overlap (least squares)."""
    offsets, below = [], 0.0
    for item in layer:
        offsets.append(below)
        below += item.height + (GAP if item.box else 2.0)
    blocks: list[list[float]] = []  # sum of weighted values, weight, count
    for item, want, offset in zip(layer, wanted, offsets, strict=True):
        weight = 1.0 if item.box else 3.0  # links are best straight where they only pass by
        blocks.append([weight * (want - offset), weight, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            value, weight, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + value, blocks[-1][1] + weight, blocks[-1][2] + count]
    position = 0
    for value, weight, count in blocks:
        for _ in range(int(count)):
            layer[position].y = value / weight + offsets[position]
            position += 1


def _route(
    link: Link, chain: Sequence[_Item], items: Mapping[str, _Item], columns: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    start, end = items[link.source], items[link.target]
    source, target = start.box, end.box
    assert source is not None
    assert target is not None
    out, into = source.y + source.outputs[link.output], target.y + target.inputs[link.input]
    points = [(source.x + source.width, out), (columns[start.layer][1], out)]
    for lane in chain:
        height = lane.y + LANE / 2
        points += [(columns[lane.layer][0], height), (columns[lane.layer][1], height)]
    return [*points, (columns[end.layer][0], into), (target.x, into)]
