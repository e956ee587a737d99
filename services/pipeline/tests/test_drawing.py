"""Pictures of pipelines: of sessions, and of documents that are no session's."""

import json

import pytest

from swath.errors import DocumentInvalid, GraphInvalid, InvalidInput, PipelineMissing, SessionNotFound
from swath_pipeline.introspection import MAX_BYTES, MAX_ELEMENTS

from .conftest import PIPELINE

BEGINNINGS = {
    "png": b"\x89PNG",
    "svg": b"<?xml",
    "dot": b"digraph",
    "graphviz": b"digraph",
    "mermaid": b"flowchart",
}


@pytest.mark.parametrize(("kind", "begins"), BEGINNINGS.items())
async def test_a_session_s_pipeline_is_drawn_in_each_format(service, loaded, kind, begins):
    picture, drawn = await service.draw(loaded, kind.upper())
    assert drawn == kind
    assert picture.startswith(begins)


async def test_a_png_is_drawn_where_no_format_is_named(service, loaded):
    picture, drawn = await service.draw(loaded, "")
    assert (picture[:4], drawn) == (b"\x89PNG", "png")


async def test_text_names_nodes_and_classes(service, loaded):
    picture, _ = await service.draw(loaded, "dot")
    assert b"rx" in picture
    assert b"RXGlobal" in picture


async def test_a_format_that_is_none_is_refused_with_those_that_are(service, loaded):
    with pytest.raises(InvalidInput, match=r"Unsupported visualization format: gif; expected one of \['png', 'svg'"):
        await service.draw(loaded, "GIF")


async def test_there_must_be_a_pipeline_to_draw(service, session):
    with pytest.raises(PipelineMissing):
        await service.draw(session, "png")
    with pytest.raises(SessionNotFound):
        await service.draw("nobody", "png")


@pytest.mark.parametrize(("kind", "begins"), BEGINNINGS.items())
async def test_a_document_needs_no_session(service, kind, begins):
    picture, drawn = await service.draw_document(json.dumps(PIPELINE), kind)
    assert drawn == kind
    assert picture.startswith(begins)


@pytest.mark.parametrize("kind", ["", "gif"])
async def test_a_document_is_a_png_where_its_format_is_not_known(service, kind):
    picture, drawn = await service.draw_document(json.dumps(PIPELINE), kind)
    assert (picture[:4], drawn) == (b"\x89PNG", "png")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", DocumentInvalid),
        ("- a\n- list", DocumentInvalid),
        ("nodes: [{name: a, class_name: no.such.Node}]\nconnections: []", GraphInvalid),
    ],
)
async def test_what_is_no_pipeline_is_not_drawn(service, content, error):
    with pytest.raises(error):
        await service.draw_document(content, "svg")


async def test_a_document_has_so_many_bytes_at_most(service):
    with pytest.raises(InvalidInput, match=f"config_content has {MAX_BYTES + 1} bytes, more than {MAX_BYTES}"):
        await service.draw_document("é" + "#" * (MAX_BYTES - 1), "svg")


async def test_a_document_has_so_many_nodes_and_connections_at_most(service):
    nodes = [{"name": f"n{number}", "class_name": "a.B"} for number in range(MAX_ELEMENTS // 2)]
    edges = [{"source": "n0.outputs.a", "target": "n1.inputs.b"}] * (MAX_ELEMENTS // 2 + 1)
    with pytest.raises(InvalidInput, match=f"has {MAX_ELEMENTS + 1} nodes and connections, more than {MAX_ELEMENTS}"):
        await service.draw_document(json.dumps({"nodes": nodes, "connections": edges}), "svg")
