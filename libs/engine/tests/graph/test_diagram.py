"""Layouts and pictures of pipelines."""

import itertools
import re
from pathlib import Path

import pytest

from swath.documents import load_yaml, parse
from swath.engine.draw import diagram, markup
from swath.engine.draw.layout import Box, Link, place
from swath.engine.graph.pipeline import Pipeline

CONFIGS = Path(__file__).resolve().parents[4] / "configs" / "pipeline" / "anomaly"


def _box(name, height=30.0):
    return Box(name, 50.0, height, {"in": 10.0}, {"out": 20.0})


def _placed(names, *pairs):
    boxes = [_box(name) for name in names]
    links = [Link(source, "out", target, "in") for source, target in pairs]
    return {box.name: box for box in boxes}, place(boxes, links)


def _overlap(one, other):
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def test_each_box_is_right_of_what_it_depends_on():
    boxes, _ = _placed("abc", ("a", "b"), ("b", "c"), ("a", "c"))
    assert boxes["a"].x + 50 < boxes["b"].x
    assert boxes["b"].x + 50 < boxes["c"].x


def test_boxes_do_not_overlap():
    boxes, layout = _placed("abcdefg", ("a", "c"), ("b", "c"), ("a", "d"), ("a", "e"), ("d", "f"), ("a", "g"))
    assert not any(_overlap(one, other) for one, other in itertools.combinations(boxes.values(), 2))
    assert all(0 <= box.x <= layout.width - box.width and 0 <= box.y <= layout.height for box in boxes.values())


def test_a_link_runs_from_port_to_port_around_boxes():
    boxes, layout = _placed("abc", ("a", "b"), ("b", "c"), ("a", "c"))
    route = layout.routes[Link("a", "out", "c", "in")]
    assert route[0] == (boxes["a"].x + 50, boxes["a"].y + 20)
    assert route[-1] == (boxes["c"].x, boxes["c"].y + 10)
    passing = [y for x, y in route if boxes["b"].x <= x <= boxes["b"].x + 50]
    assert passing
    assert all(not boxes["b"].y <= y <= boxes["b"].y + 30 for y in passing)


def test_links_do_not_cross_where_they_need_not():
    boxes, _ = _placed("abcd", ("a", "d"), ("b", "c"))
    assert (boxes["a"].y < boxes["b"].y) == (boxes["d"].y < boxes["c"].y)


def test_nothing_has_a_layout_too():
    layout = place([], [])
    assert (layout.width, layout.height, layout.routes) == (0.0, 0.0, {})


@pytest.fixture(scope="module")
def pipeline():
    """The shipped pipeline of thirteen nodes."""
    return Pipeline.from_document(parse("pipeline", load_yaml((CONFIGS / "rx" / "channel_selector.yaml").read_text())))


def test_a_picture_names_all_nodes_ports_and_states(pipeline):
    # The letters are outlines; matplotlib notes each text beside its outlines.
    notes = {node.strip() for node in re.findall(r"<!-- (.*?) -->", diagram.svg(pipeline).decode())}
    ports = {port for node in pipeline.nodes.values() for port in (*node.inputs, *node.outputs)}
    assert {*pipeline.nodes, *ports, "not fitted"} <= notes


def test_pictures_of_the_same_are_the_same(pipeline):
    assert diagram.svg(pipeline) == diagram.svg(pipeline)


def test_an_empty_pipeline_has_a_picture():
    assert diagram.png(Pipeline({}, ())).startswith(b"\x89PNG")


def test_states_are_told_in_text_too(pipeline):
    assert markup.mermaid(pipeline).count("not fitted") == 3 + (not pipeline.nodes["SoftChannelSelector"].fitted)
    assert markup.dot(pipeline).count("not fitted") == markup.mermaid(pipeline).count("not fitted")
