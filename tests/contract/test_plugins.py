"""Plugins on the server: registered, listed, refused, and run where the operator allows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from swath.client import Client, LocalError, PermissionDeniedError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_standalone.process import ServerProcess

CODE = '''
import numpy as np
import torch
from swath.engine.data.collection import Collection, Sample
from swath.engine.data.params import LoaderParams
from swath.engine.graph.roles import Fittable
from swath.engine.graph.ports import Port, ports

CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")


class Centre(Fittable):
    """Subtracts the mean of the training data, a number.

    Args:
        scale: What the difference is multiplied by.
    """

    category = "transform"
    tags = ("torch",)
    inputs = ports(cube=CUBE)
    outputs = ports(centred=CUBE)

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.zeros(()))

    def begin_fit(self):
        self._sum = self._count = 0

    def fit_batch(self, inputs):
        self._sum += float(inputs["cube"].sum())
        self._count += inputs["cube"].numel()

    def end_fit(self):
        self.mean.fill_(self._sum / self._count)
        self._done()

    def run(self, inputs, context):
        self.require_fit()
        return {"centred": (inputs["cube"] - self.mean) * self.scale}


def constants(doc, resolve):
    file = resolve(doc.params["path"])
    samples = tuple(Sample("constants", index, file, position=index) for index in range(2))
    return Collection(samples, read, stages={"train": samples}), LoaderParams()


def read(sample):
    return {"cube": np.full((2, 2, 3), float(sample.file.read_text()) + 2 * sample.index, np.float32)}
'''


@pytest.fixture
def manifest() -> dict:
    """A plugin that nobody allows."""
    return {
        "name": "acme",
        "repo": "git@example.com:acme.git",
        "tag": "v1",
        "capabilities": [
            {
                "class_name": "acme.nodes.Thing",
                "kind": "node",
                "category": "model",
                "tags": ["torch", "rgb"],
                "icon_svg": "<svg/>",
                "input_specs": {"cube": {"dtype": "float32", "shape": [-1, "channels"], "description": "A cube"}},
                "output_specs": {"out": {"dtype": "bool", "shape": [], "optional": True}},
            },
            {"class_name": "acme.data.Numbers", "kind": "data_module", "data_module_name": "numbers"},
        ],
    }


def _register(stub, session: str, manifest: object) -> pb.LoadPluginResponse:
    content = pb.PluginManifest(config_bytes=json.dumps(manifest).encode())
    return stub.LoadPlugin(pb.LoadPluginRequest(session_id=session, manifest=content))


def _load(document: object, session: str, data_module: str = "") -> pb.LoadPipelineRequest:
    pipeline = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    return pb.LoadPipelineRequest(session_id=session, pipeline=pipeline, data_module=data_module)


def test_a_plugin_is_registered_listed_and_described(stub, session, manifest):
    assert _register(stub, session, manifest).registered_plugin == "acme"
    (listed,) = stub.ListLoadedPlugins(pb.ListLoadedPluginsRequest(session_id=session)).plugins
    described = stub.GetPluginInfo(pb.GetPluginInfoRequest(session_id=session, plugin_name="acme")).plugin
    assert listed == described
    assert (listed.type, listed.source, listed.tag) == ("git", "git@example.com:acme.git", "v1")
    assert list(listed.capabilities) == ["acme.nodes.Thing", "acme.data.Numbers"]


def test_a_local_plugin_has_no_tag(stub, session, manifest):
    _register(stub, session, {**manifest, "repo": None, "tag": None, "path": "/opt/acme"})
    (listed,) = stub.ListLoadedPlugins(pb.ListLoadedPluginsRequest(session_id=session)).plugins
    assert (listed.type, listed.source, listed.tag) == ("local", "/opt/acme", "")


def test_registering_again_replaces(stub, session, manifest):
    _register(stub, session, manifest)
    _register(stub, session, {**manifest, "tag": "v2"})
    (listed,) = stub.ListLoadedPlugins(pb.ListLoadedPluginsRequest(session_id=session)).plugins
    assert listed.tag == "v2"


def test_node_classes_of_a_plugin_are_listed_and_its_data_modules_are_not(stub, session, manifest):
    _register(stub, session, manifest)
    nodes = stub.ListAvailableNodes(pb.ListAvailableNodesRequest(session_id=session)).nodes
    (node,) = [node for node in nodes if node.source == "plugin"]
    assert (node.class_name, node.full_path, node.plugin_name) == ("Thing", "acme.nodes.Thing", "acme")
    assert (node.category, list(node.tags)) == (pb.NODE_CATEGORY_MODEL, [pb.NODE_TAG_RGB, pb.NODE_TAG_TORCH])
    assert node.icon_svg == b"<svg/>"
    cube, out = node.input_specs["cube"], node.output_specs["out"]
    assert (cube.dtype, list(cube.shape), cube.description) == (pb.D_TYPE_FLOAT32, [-1, -1], "A cube")
    assert (out.dtype, out.optional) == (pb.D_TYPE_BOOL, True)


@pytest.mark.parametrize(
    "change", [{"tag": None}, {"repo": None, "tag": None, "path": "relative"}, {"name": "no name"}]
)
def test_a_manifest_that_does_not_fit_is_an_answer(stub, session, manifest, change):
    answer = _register(stub, session, {**manifest, **change})
    assert answer.registered_plugin == ""
    assert "validation error" in answer.error
    assert not stub.ListLoadedPlugins(pb.ListLoadedPluginsRequest(session_id=session)).plugins


@pytest.mark.parametrize("content", [b"[]", b"", b"{", b"{}"])
def test_a_manifest_that_is_no_object_is_an_error(stub, session, refused, content):
    request = pb.LoadPluginRequest(session_id=session, manifest=pb.PluginManifest(config_bytes=content))
    assert refused(stub.LoadPlugin, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_plugin_that_nobody_registered(stub, session, refused):
    code, _, _ = refused(stub.GetPluginInfo, pb.GetPluginInfoRequest(session_id=session, plugin_name="none"))
    assert code == grpc.StatusCode.NOT_FOUND


def test_a_plugin_that_is_not_allowed_is_refused_when_it_is_used(stub, session, refused, manifest):
    _register(stub, session, manifest)
    document = {"plugins": ["acme"], "nodes": [{"name": "a", "class_name": "acme.nodes.Thing"}]}
    code, reason, text = refused(stub.LoadPipeline, _load(document, session))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "PLUGIN_DENIED")
    assert "node 'a'" in text
    assert "SWATH_PLUGINS" in text


def test_a_data_module_that_is_not_allowed_or_not_there(stub, session, refused, manifest):
    _register(stub, session, manifest)
    code, _, text = refused(stub.LoadPipeline, _load({"nodes": []}, session, "numbers"))
    assert (code, "SWATH_PLUGINS" in text) == (grpc.StatusCode.PERMISSION_DENIED, True)
    code, _, text = refused(stub.LoadPipeline, _load({"nodes": []}, session, "none"))
    assert (code, "no plugin provides data module 'none'" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_the_reference_s_own_plugins_are_built_in(stub, session):
    capability = {"class_name": "cuvis_ai.node.normalization.MinMaxNormalizer", "kind": "node"}
    module = {"class_name": "cuvis_ai_dataloader.X", "kind": "data_module", "data_module_name": "npz_multi"}
    for name, offered in (("cuvis_ai_builtin", capability), ("cuvis_ai_dataloader", module)):
        source = {"repo": f"https://example.com/{name}.git", "tag": "v0.19.3"}
        _register(stub, session, {"name": name, **source, "capabilities": [offered]})
    document = {"plugins": ["cuvis_ai_builtin"], "nodes": [{"name": "a", "class_name": capability["class_name"]}]}
    assert stub.LoadPipeline(_load(document, session, "npz_multi")).success


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of somebody else's."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "contract_plugin.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory, plugin: Path) -> Iterator[ServerProcess]:
    """A server whose operator allows that folder."""
    state = tmp_path_factory.mktemp("allowing")
    with ServerProcess(state, environment={"SWATH_PLUGINS": str(plugin)}) as running:
        folder = running.state / "workspace" / "data"
        folder.mkdir(parents=True)
        (folder / "constant.txt").write_text("4")
        yield running


@pytest.fixture
def allowed_manifest(plugin: Path) -> dict:
    return {
        "name": "contract",
        "path": str(plugin),
        "capabilities": [
            {"class_name": "contract_plugin.Centre", "kind": "node"},
            {"class_name": "contract_plugin.constants", "kind": "data_module", "data_module_name": "constants"},
        ],
    }


def test_an_allowed_plugin_trains_and_infers(allowing, allowed_manifest):
    document = {
        "plugins": ["contract"],
        "nodes": [{"name": "centre", "class_name": "contract_plugin.Centre", "hparams": {"scale": 10.0}}],
        "connections": [],
        "metadata": {"name": "plugged"},
    }
    run = {"name": "run", "data": {"data_module": "constants", "params": {"path": "data/constant.txt"}}}
    with Client(allowing.target) as client, client.session([]) as session:
        session.load_plugin(allowed_manifest)
        session.load_pipeline(document, "constants")
        session.set_run_config(run)
        list(session.train("statistical"))
        centred = session.infer(cube=np.full((1, 2, 2, 3), 6.0, np.float32)).only("centred")
        np.testing.assert_allclose(centred, 10.0)  # the mean of 4 and 6 is 5
        saved = session.save_pipeline("plugged.yaml")
        text = Path(saved.pipeline).read_text()
        assert "contract_plugin.Centre" in text
        assert allowed_manifest["path"] not in text


def test_an_allowed_class_is_described(allowing, allowed_manifest):
    with Client(allowing.target) as client, client.session([]) as session:
        session.load_plugin(allowed_manifest)
        (described,) = session.describe_nodes("contract_plugin.Centre")
    assert (described.full_path, described.fittable) == ("contract_plugin.Centre", True)
    assert [(hparam.name, hparam.type, hparam.default_json) for hparam in described.hparams] == [
        ("scale", "float", "1.0")
    ]
    assert described.hparams[0].description == "What the difference is multiplied by."


def test_a_folder_beside_the_allowed_one_is_refused(allowing, allowed_manifest, tmp_path):
    (tmp_path / "contract_plugin.py").write_text(CODE)
    with Client(allowing.target) as client, client.session([]) as session:
        session.load_plugin({**allowed_manifest, "path": str(tmp_path)})
        with pytest.raises(PermissionDeniedError, match="SWATH_PLUGINS"):
            session.load_pipeline({"nodes": [{"name": "a", "class_name": "contract_plugin.Centre"}]})


def test_a_stored_pipeline_s_own_words_are_not_taken_from_clients(allowing, allowed_manifest):
    source = {"name": "contract", "path": "/tmp", "nodes": ["os.system"]}
    with Client(allowing.target) as client, client.session([]) as session:
        with pytest.raises(Exception, match="sources"):
            session.load_pipeline({"nodes": [], "sources": [source]})
        with pytest.raises(LocalError, match="validation error"):
            session.load_plugin({**allowed_manifest, "path": "relative"})


def test_a_class_of_a_plugin_that_is_not_registered_says_which(stub, session, refused):
    document = {"plugins": ["acme"], "nodes": [{"name": "a", "class_name": "acme.nodes.Thing"}]}
    request = pb.LoadPipelineRequest(
        session_id=session, pipeline=pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    )
    code, _, text = refused(stub.LoadPipeline, request)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "['acme']" in text
