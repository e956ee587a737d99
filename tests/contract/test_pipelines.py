"""Pipelines on the server: found, described, drawn, saved, restored."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree as ET

import grpc
import numpy as np
import pytest
import yaml
from PIL import Image

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


@pytest.fixture
def loaded(load_shipped, session):
    """A session with the shipped RX pipeline, not fitted."""
    load_shipped("anomaly/rx/rx_statistical")
    return session


def test_shipped_pipelines_are_listed_by_path(stub):
    answer = stub.ListAvailablePipelines(pb.ListAvailablePipelinesRequest())
    paths = [info.pipeline_path for info in answer.pipelines]
    assert paths == sorted(paths)
    assert {"anomaly/rx/rx_statistical.yaml", "anomaly/deep_svdd/deep_svdd.yaml"} <= set(paths)


def test_a_tag_filters_whatever_its_case(stub):
    tagged = stub.ListAvailablePipelines(pb.ListAvailablePipelinesRequest(filter_tag="RX")).pipelines
    assert tagged
    assert all("rx" in [tag.lower() for tag in info.metadata.tags] for info in tagged)


def test_a_pipeline_is_described_with_its_text(stub):
    info = stub.GetPipelineInfo(pb.GetPipelineInfoRequest(pipeline_path="anomaly/rx/rx_statistical.yaml")).pipeline_info
    assert yaml.safe_load(info.yaml_content)["nodes"]
    assert info.resolved_path.endswith("pipeline/anomaly/rx/rx_statistical.yaml")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.yaml", "a//b.yaml", "x.txt", "", "a\\b.yaml", "./a.yaml"])
def test_an_invalid_discovery_path_is_refused(stub, refused, path):
    code, _, _ = refused(stub.GetPipelineInfo, pb.GetPipelineInfoRequest(pipeline_path=path))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


def test_a_pipeline_that_is_not_there(stub, refused):
    code, _, text = refused(stub.GetPipelineInfo, pb.GetPipelineInfoRequest(pipeline_path="none.yaml"))
    assert code == grpc.StatusCode.NOT_FOUND
    assert "none.yaml" in text


@pytest.mark.parametrize(
    ("kind", "start"), [("dot", b"digraph"), ("graphviz", b"digraph"), ("mermaid", b"flowchart LR")]
)
def test_drawings_as_text(stub, loaded, kind, start):
    answer = stub.GetPipelineVisualization(pb.GetPipelineVisualizationRequest(session_id=loaded, format=kind))
    assert answer.format == kind
    assert answer.image_data.startswith(start)


@pytest.mark.parametrize(("kind", "answered"), [("", "png"), ("png", "png"), ("PNG", "png"), ("svg", "svg")])
def test_pictures_need_no_program(stub, loaded, kind, answered):
    answer = stub.GetPipelineVisualization(pb.GetPipelineVisualizationRequest(session_id=loaded, format=kind))
    assert answer.format == answered
    if answered == "svg":
        assert ET.fromstring(answer.image_data).tag == "{http://www.w3.org/2000/svg}svg"
    else:
        picture = Image.open(io.BytesIO(answer.image_data))
        assert picture.width > picture.height > 300
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("kind", ["bmp", "jpeg", ""])
def test_a_document_in_another_format_gives_a_picture(stub, kind):
    content = "nodes: [{name: a, class_name: cuvis_ai.node.normalization.MinMaxNormalizer}]"
    answer = stub.GetPipelineVisualization(pb.GetPipelineVisualizationRequest(format=kind, config_content=content))
    assert answer.format == "png"
    assert answer.image_data.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "said"),
    [("# " + "x" * 1_000_000, "1000000"), ("nodes: [" + "{name: a, class_name: b}, " * 2001 + "]", "2000"), ("{", "")],
    ids=["bytes", "elements", "no YAML"],
)
def test_a_document_that_cannot_be_drawn_is_refused(stub, refused, content, said):
    request = pb.GetPipelineVisualizationRequest(format="png", config_content=content)
    code, _, text = refused(stub.GetPipelineVisualization, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert said in text


def test_a_drawing_needs_no_session_when_the_document_comes_along(stub):
    content = stub.GetPipelineInfo(
        pb.GetPipelineInfoRequest(pipeline_path="anomaly/rx/rx_statistical.yaml")
    ).pipeline_info.yaml_content
    answer = stub.GetPipelineVisualization(pb.GetPipelineVisualizationRequest(format="mermaid", config_content=content))
    assert b"RXGlobal" in answer.image_data


def test_an_unknown_drawing_format_is_refused(stub, loaded, refused):
    code, _, text = refused(
        stub.GetPipelineVisualization, pb.GetPipelineVisualizationRequest(session_id=loaded, format="bmp")
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Unsupported visualization format: bmp" in text


def test_a_session_without_a_run_config_is_saved_as_a_run_of_its_pipeline(stub, loaded):
    path = f"runs/{loaded}-without-config.yaml"
    saved = stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=loaded, trainrun_path=path))
    assert (saved.success, saved.weights_path) == (True, "")
    restored = stub.RestoreTrainRun(pb.RestoreTrainRunRequest(trainrun_path=path))
    assert json.loads(restored.trainrun.config_bytes)["loss_nodes"] == []
    stub.CloseSession(pb.CloseSessionRequest(session_id=restored.session_id))


def test_a_session_without_a_pipeline_is_not_saved(stub, session, refused):
    code, _, _ = refused(stub.SaveTrainRun, pb.SaveTrainRunRequest(session_id=session, trainrun_path="x.yaml"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION


def test_built_in_nodes_are_listed_with_ports_category_and_tags(stub, session):
    nodes = stub.ListAvailableNodes(pb.ListAvailableNodesRequest(session_id=session)).nodes
    (rx,) = [node for node in nodes if node.class_name == "RXGlobal"]
    assert rx.full_path == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    assert rx.source == "builtin"
    assert rx.category == pb.NODE_CATEGORY_MODEL
    assert pb.NODE_TAG_ANOMALY in rx.tags
    assert rx.input_specs["data"].dtype == pb.D_TYPE_FLOAT32
    assert list(rx.output_specs["scores"].shape) == [-1, -1, -1, 1]
