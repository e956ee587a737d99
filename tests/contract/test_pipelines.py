"""Pipelines on the server: found, described, drawn, saved, restored."""

from __future__ import annotations

import json

import grpc
import pytest
import yaml

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

RX = "pipeline/anomaly/rx/rx_statistical"


@pytest.fixture
def loaded(stub, session):
    """A session with the shipped RX pipeline, not fitted."""
    config = stub.ResolveConfig(pb.ResolveConfigRequest(session_id=session, config_type="pipeline", path=RX))
    stub.LoadPipeline(
        pb.LoadPipelineRequest(session_id=session, pipeline=pb.PipelineConfig(config_bytes=config.config_bytes))
    )
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


def test_a_run_needs_its_config_to_be_saved(stub, loaded, refused):
    code, _, text = refused(stub.SaveTrainRun, pb.SaveTrainRunRequest(session_id=loaded, trainrun_path="x.yaml"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "SetTrainRunConfig" in text


def test_built_in_nodes_are_listed_with_ports_category_and_tags(stub, session):
    nodes = stub.ListAvailableNodes(pb.ListAvailableNodesRequest(session_id=session)).nodes
    (rx,) = [node for node in nodes if node.class_name == "RXGlobal"]
    assert rx.full_path == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    assert rx.source == "builtin"
    assert rx.category == pb.NODE_CATEGORY_MODEL
    assert pb.NODE_TAG_ANOMALY in rx.tags
    assert rx.input_specs["data"].dtype == pb.D_TYPE_FLOAT32
    assert list(rx.output_specs["scores"].shape) == [-1, -1, -1, 1]


@pytest.fixture
def manifest() -> dict:
    return {
        "name": "acme",
        "repo": "git@example.com:acme.git",
        "tag": "v1",
        "capabilities": [{"class_name": "acme.nodes.Thing", "kind": "node", "category": "model", "tags": ["rgb"]}],
    }


def _register(stub, session: str, manifest: object) -> pb.LoadPluginResponse:
    content = pb.PluginManifest(config_bytes=json.dumps(manifest).encode())
    return stub.LoadPlugin(pb.LoadPluginRequest(session_id=session, manifest=content))


def test_a_plugin_is_registered_listed_and_described(stub, session, manifest):
    assert _register(stub, session, manifest).registered_plugin == "acme"
    (listed,) = stub.ListLoadedPlugins(pb.ListLoadedPluginsRequest(session_id=session)).plugins
    described = stub.GetPluginInfo(pb.GetPluginInfoRequest(session_id=session, plugin_name="acme")).plugin
    assert listed == described
    assert (listed.type, listed.tag, list(listed.capabilities)) == ("git", "v1", ["acme.nodes.Thing"])
    nodes = stub.ListAvailableNodes(pb.ListAvailableNodesRequest(session_id=session)).nodes
    assert [node.plugin_name for node in nodes if node.class_name == "Thing"] == ["acme"]


def test_a_manifest_that_does_not_fit_is_an_answer(stub, session, manifest):
    answer = _register(stub, session, {**manifest, "tag": None})
    assert answer.registered_plugin == ""
    assert "tag" in answer.error


def test_a_manifest_that_is_no_object_is_an_error(stub, session, refused):
    request = pb.LoadPluginRequest(session_id=session, manifest=pb.PluginManifest(config_bytes=b"[]"))
    assert refused(stub.LoadPlugin, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_plugin_that_nobody_registered(stub, session, refused):
    code, _, _ = refused(stub.GetPluginInfo, pb.GetPluginInfoRequest(session_id=session, plugin_name="none"))
    assert code == grpc.StatusCode.NOT_FOUND


def test_a_class_of_a_plugin_that_is_not_registered_says_which(stub, session, refused):
    document = {"plugins": ["acme"], "nodes": [{"name": "a", "class_name": "acme.nodes.Thing"}]}
    request = pb.LoadPipelineRequest(
        session_id=session, pipeline=pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    )
    code, _, text = refused(stub.LoadPipeline, request)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "['acme']" in text
