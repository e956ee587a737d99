"""The pipeline service as its callers see it: messages in, messages out."""

import json

import pytest
import yaml

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import canonical, parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.stored import dump_weights
from swath.errors import NotFound, WeightsInvalid
from swath.pipeline.v1 import nodes_pb2
from swath_pipeline import PipelineServicer

from .conftest import PIPELINE

MANIFEST = {
    "name": "acme",
    "path": "/opt/acme",
    "capabilities": [
        {"class_name": "acme.nodes.Blur", "category": "transform"},
        {"class_name": "acme.data.Frames", "kind": "data_module", "data_module_name": "frames"},
    ],
}
REMOTE = {
    "name": "remote",
    "repo": "file:///srv/remote.git",
    "tag": "v1",
    "capabilities": [{"class_name": "remote.Node"}],
}


@pytest.fixture
def call(service):
    """Calls a method of the servicer by its name, with the fields of its request."""
    servicer = PipelineServicer(service)

    async def make(method, **fields):
        module = nodes_pb2 if method == "DescribeNodes" else pb
        return await getattr(servicer, method)(getattr(module, f"{method}Request")(**fields), None)

    return make


@pytest.fixture
async def ready(call, session):
    """A session with a pipeline, loaded by call."""
    config = pb.PipelineConfig(config_bytes=json.dumps({**PIPELINE, "metadata": {"name": "RX"}}).encode())
    await call("LoadPipeline", session_id=session, pipeline=config)
    return session


@pytest.fixture
def weights():
    """A weights file of the pipeline."""
    return dump_weights(Pipeline.from_document(parse("pipeline", PIPELINE)))


async def test_loading_a_pipeline_answers_with_its_metadata(call, session):
    document = {**PIPELINE, "metadata": {"name": "RX", "description": "d", "tags": ["a", "b"], "author": "me"}}
    config = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    answer = await call("LoadPipeline", session_id=session, pipeline=config, data_module="scene")
    assert answer.success
    assert (answer.metadata.name, answer.metadata.description) == ("RX", "d")
    assert (list(answer.metadata.tags), answer.metadata.author) == (["a", "b"], "me")


class TestWeights:
    async def test_bytes_have_no_path(self, call, ready, weights):
        answer = await call("LoadPipelineWeights", session_id=ready, weights_bytes=weights)
        assert (answer.success, answer.resolved_path) == (True, "(client-bytes)")

    async def test_a_file_is_answered_with_its_path(self, call, ready, weights, workspace):
        (workspace.root / "rx.pt").write_bytes(weights)
        answer = await call("LoadPipelineWeights", session_id=ready, weights_path="rx")
        assert answer.resolved_path == str(workspace.root / "rx.pt")

    @pytest.mark.parametrize("strict", [None, True])
    async def test_they_are_held_to_the_pipeline_unless_the_caller_says_otherwise(self, call, ready, strict):
        empty = dump_weights(Pipeline.from_document(parse("pipeline", {"nodes": [], "connections": []})))
        with pytest.raises(WeightsInvalid):
            await call("LoadPipelineWeights", session_id=ready, weights_bytes=empty, strict=strict)
        assert (await call("LoadPipelineWeights", session_id=ready, weights_bytes=empty, strict=False)).success


class TestSaving:
    async def test_a_pipeline_is_saved_with_the_metadata_given(self, call, ready, own):
        metadata = pb.PipelineMetadata(name="Mine", description="d", created="2026-01-01", tags=["t"], author="me")
        answer = await call("SavePipeline", session_id=ready, pipeline_path="a.yaml", metadata=metadata)
        assert (answer.pipeline_path, answer.weights_path) == (str(own / "a.yaml"), str(own / "a.pt"))
        saved = yaml.safe_load((own / "a.yaml").read_text())["metadata"]
        assert {key: saved[key] for key in ("name", "description", "created", "tags", "author")} == {
            "name": "Mine",
            "description": "d",
            "created": "2026-01-01",
            "tags": ["t"],
            "author": "me",
        }

    @pytest.mark.parametrize("weights", [True, False])
    async def test_a_run_is_saved_and_restored(self, call, ready, sessions, store, workspace, weights):
        run = parse("trainrun", {"name": "run", "data": {"data_module": "scene"}})
        digest = store.put_sync(canonical(run))
        await sessions.change(ready, lambda _: {"run_config_digest": digest})
        saved = await call("SaveTrainRun", session_id=ready, trainrun_path="runs/a.yaml", save_weights=weights)
        folder = workspace.root / "runs"
        assert (saved.trainrun_path, saved.pipeline_path) == (str(folder / "a.yaml"), str(folder / "a_pipeline.yaml"))
        assert saved.weights_path == (str(folder / "a_pipeline.pt") if weights else "")
        restored = await call("RestoreTrainRun", trainrun_path="runs/a.yaml")
        assert restored.session_id not in ("", ready)
        assert json.loads(restored.trainrun.config_bytes)["pipeline"] == "a_pipeline.yaml"

    async def test_a_run_is_restored_into_the_session_named(self, call, ready, workspace, weights):
        run = {"name": "run", "data": {"data_module": "scene"}, "pipeline": PIPELINE}
        (workspace.root / "run.yaml").write_text(json.dumps(run))
        (workspace.root / "other.pt").write_bytes(weights)
        fields = {"trainrun_path": "run.yaml", "weights_path": "other.pt", "strict": False, "session_id": ready}
        assert (await call("RestoreTrainRun", **fields)).session_id == ready


class TestDiscovery:
    async def test_pipelines_are_listed_without_their_text(self, call):
        [info] = (await call("ListAvailablePipelines")).pipelines
        assert (info.pipeline_path, info.metadata.name, info.yaml_content) == ("rx.yaml", "shipped", "")

    async def test_pipelines_are_listed_by_tag(self, call):
        assert len((await call("ListAvailablePipelines", filter_tag="anomaly")).pipelines) == 1
        assert len((await call("ListAvailablePipelines", filter_tag="other")).pipelines) == 0

    async def test_one_is_shown_with_its_text_and_where_its_weights_are(self, call, own):
        (own / "mine.yaml").write_text("metadata: {name: Mine}")
        (own / "mine.pt").touch()
        info = (await call("GetPipelineInfo", pipeline_path="mine.yaml")).pipeline_info
        assert (info.metadata.name, info.yaml_content) == ("Mine", "metadata: {name: Mine}")
        assert (info.resolved_path, info.weights_path) == (str(own / "mine.yaml"), str(own / "mine.pt"))


class TestIntrospection:
    async def test_inputs_are_named_and_required_where_they_must_be(self, call, ready):
        answer = await call("GetPipelineInputs", session_id=ready)
        assert list(answer.input_names) == list(answer.input_specs) == ["data"]
        spec = answer.input_specs["data"]
        assert (list(spec.shape), spec.dtype, spec.required) == ([-1, -1, -1, 3], pb.D_TYPE_FLOAT32, True)

    async def test_outputs_are_never_required(self, call, ready):
        answer = await call("GetPipelineOutputs", session_id=ready)
        assert list(answer.output_names) == ["rx.scores"]
        assert not answer.output_specs["rx.scores"].required

    async def test_drawings_are_of_a_document_where_one_is_given(self, call, ready):
        drawn = await call("GetPipelineVisualization", session_id=ready, format="dot")
        assert (drawn.format, b"RXGlobal" in drawn.image_data) == ("dot", True)
        given = await call("GetPipelineVisualization", config_content=json.dumps(PIPELINE), format="mermaid")
        assert given.format == "mermaid"

    async def test_nodes_are_those_built_in_and_those_of_plugins(self, call, session):
        await call("LoadPlugin", session_id=session, manifest=_manifest(MANIFEST))
        nodes = (await call("ListAvailableNodes", session_id=session)).nodes
        assert {node.source for node in nodes} == {"builtin", "plugin"}
        # Data modules are no nodes.
        assert [node.full_path for node in nodes if node.plugin_name == "acme"] == ["acme.nodes.Blur"]

    async def test_nodes_are_described(self, call):
        [node] = (await call("DescribeNodes", class_names=["RXGlobal"])).nodes
        assert node.full_path == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"


class TestPlugins:
    async def test_one_is_registered_listed_and_shown(self, call, session):
        answer = await call("LoadPlugin", session_id=session, manifest=_manifest(MANIFEST))
        assert (answer.registered_plugin, answer.error) == ("acme", "")
        [listed] = (await call("ListLoadedPlugins", session_id=session)).plugins
        shown = (await call("GetPluginInfo", session_id=session, plugin_name="acme")).plugin
        assert listed == shown
        assert (shown.type, shown.source, shown.tag) == ("local", "/opt/acme", "")
        assert list(shown.capabilities) == ["acme.nodes.Blur", "acme.data.Frames"]

    async def test_one_of_a_repository_has_a_tag(self, call, session):
        await call("LoadPlugin", session_id=session, manifest=_manifest(REMOTE))
        plugin = (await call("GetPluginInfo", session_id=session, plugin_name="remote")).plugin
        assert (plugin.type, plugin.source, plugin.tag) == ("git", "file:///srv/remote.git", "v1")

    async def test_they_are_listed_in_the_order_of_their_registration(self, call, session):
        for manifest in (REMOTE, MANIFEST):
            await call("LoadPlugin", session_id=session, manifest=_manifest(manifest))
        listed = (await call("ListLoadedPlugins", session_id=session)).plugins
        assert [plugin.name for plugin in listed] == ["remote", "acme"]

    async def test_what_is_wrong_with_a_manifest_is_part_of_the_answer(self, call, session):
        answer = await call("LoadPlugin", session_id=session, manifest=_manifest({**MANIFEST, "path": "relative"}))
        assert answer.registered_plugin == ""
        assert "path must be absolute" in answer.error

    async def test_one_that_is_not_registered_is_not_found(self, call, session):
        with pytest.raises(NotFound, match="'acme' is not registered"):
            await call("GetPluginInfo", session_id=session, plugin_name="acme")


def _manifest(content):
    return pb.PluginManifest(config_bytes=json.dumps(content).encode())
