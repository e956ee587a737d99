"""Node classes that a session may use, and how each is described."""

import json

import pytest

from swath.errors import NotFound, PluginDenied, SessionNotFound

BLUR, MISSING = "acme_blur.nodes.Blur", "acme_blur.nodes.Missing"
CODE = '''
import torch
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports

CUBE = Port(torch.float32, (-1, -1, -1, -1))

class Blur(Node):
    """Blurs a cube.

    Args:
        radius: In pixels.
    """

    inputs = ports(data=CUBE)
    outputs = ports(blurred=CUBE)

    def __init__(self, radius: int = 2) -> None:
        super().__init__()
        self.radius = radius
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A package of somebody else's. A process imports it once, so it is the same for all tests."""
    project = tmp_path_factory.mktemp("acme-project")
    (project / "acme_blur").mkdir()
    (project / "acme_blur" / "__init__.py").touch()
    (project / "acme_blur" / "nodes.py").write_text(CODE)
    return project


@pytest.fixture
async def with_plugin(service, session, project):
    """A session with that plugin, which offers a class that is there and one that is not."""
    offered = [{"class_name": name} for name in (BLUR, MISSING)]
    manifest = {"name": "acme", "path": str(project), "capabilities": offered}
    await service.register_plugin(session, json.dumps(manifest).encode())
    return session


@pytest.fixture
def allowed(project, monkeypatch):
    """The operator allows that plugin."""
    monkeypatch.setenv("SWATH_PLUGINS", str(project))


async def test_a_session_has_the_built_in_classes_and_the_manifests_that_it_registered(service, with_plugin):
    entries, manifests = await service.node_classes(with_plugin)
    assert "cuvis_ai.node.anomaly.rx_detector.RXGlobal" in {entry.full_path for entry in entries}
    assert [manifest.name for manifest in manifests] == ["acme"]


async def test_a_session_that_there_is_not_has_none(service):
    with pytest.raises(SessionNotFound):
        await service.node_classes("nobody")
    with pytest.raises(SessionNotFound):
        await service.describe_nodes("nobody", ())


@pytest.mark.parametrize("name", ["RXGlobal", "cuvis_ai.node.anomaly.rx_detector.RXGlobal"])
async def test_a_class_is_described_by_its_bare_or_its_full_name(service, name):
    [found] = await service.describe_nodes("", (name,))
    assert found.full_path == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    assert found.fittable
    assert [hparam.name for hparam in found.hparams if hparam.required] == ["num_channels"]


async def test_classes_come_in_the_order_in_which_they_were_named(service):
    found = await service.describe_nodes("", ("RXGlobal", "MinMaxNormalizer"))
    assert [each.full_path.rsplit(".", 1)[-1] for each in found] == ["RXGlobal", "MinMaxNormalizer"]


async def test_all_are_described_where_none_is_named(service, session):
    found = await service.describe_nodes("", ())
    entries, _ = await service.node_classes(session)
    assert {entry.full_path for entry in entries} <= {each.full_path for each in found}
    assert all(each.summary for each in found)


async def test_a_class_that_there_is_not_is_not_found(service, session):
    with pytest.raises(NotFound, match="Unknown node class 'NoSuchNode'"):
        await service.describe_nodes(session, ("NoSuchNode",))


@pytest.mark.usefixtures("allowed")
class TestPluginsThatMayRun:
    async def test_their_classes_are_described_as_built_in_ones_are(self, service, with_plugin):
        [blur] = await service.describe_nodes(with_plugin, (BLUR,))
        assert (blur.full_path, blur.summary) == (BLUR, "Blurs a cube.")
        [radius] = blur.hparams
        assert (radius.name, radius.type, radius.default, radius.description) == ("radius", "int", "2", "In pixels.")

    async def test_a_class_that_cannot_be_loaded_hides_no_other(self, service, with_plugin):
        found = {each.full_path for each in await service.describe_nodes(with_plugin, ())}
        assert BLUR in found
        assert MISSING not in found

    async def test_a_call_that_names_it_gets_the_reason(self, service, with_plugin):
        with pytest.raises(NotFound, match="Missing"):
            await service.describe_nodes(with_plugin, (MISSING,))


class TestPluginsThatMayNotRun:
    async def test_their_classes_are_left_out(self, service, with_plugin):
        assert BLUR not in {each.full_path for each in await service.describe_nodes(with_plugin, ())}

    async def test_a_call_that_names_one_gets_the_reason(self, service, with_plugin):
        with pytest.raises(PluginDenied, match="acme"):
            await service.describe_nodes(with_plugin, (BLUR,))
