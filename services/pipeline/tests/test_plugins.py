"""Manifests that a session registers."""

import json

import pytest

from swath.errors import DocumentInvalid, Exhausted, NotFound
from swath_pipeline.plugins import MAX_MANIFEST_BYTES, MAX_PLUGINS


def _manifest(name="plugin", **capability):
    capabilities = [{"class_name": "plugin.nodes.Node", **capability}]
    return json.dumps({"name": name, "path": "/opt/plugin", "capabilities": capabilities}).encode()


async def test_a_plugin_is_recorded_and_replaced_by_name(service, session):
    assert await service.register_plugin(session, _manifest()) == ("plugin", "")
    await service.register_plugin(session, _manifest(tags=["learnable"]))
    (manifest,) = await service.plugins(session)
    assert manifest.capabilities[0].tags == ["learnable"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"])
async def test_what_is_no_manifest_is_refused(service, session, content):
    with pytest.raises(DocumentInvalid):
        await service.register_plugin(session, content)


@pytest.mark.parametrize(
    "content",
    [
        _manifest("not an identifier"),
        _manifest(class_name="undotted"),
        json.dumps({"name": "p", "path": "relative", "capabilities": [{"class_name": "a.B"}]}).encode(),
        json.dumps({"name": "p", "repo": "url", "capabilities": [{"class_name": "a.B"}]}).encode(),
        _manifest(input_specs={"cube": {"dtype": "float32", "shape": [2**63]}}),
    ],
    ids=["name", "class", "relative path", "no tag", "size beyond the wire"],
)
async def test_a_manifest_that_fails_validation_is_an_answer(service, session, content):
    name, error = await service.register_plugin(session, content)
    assert name == ""
    assert "validation error" in error


async def test_a_session_s_row_stays_small(service, session):
    with pytest.raises(DocumentInvalid, match="more than"):
        await service.register_plugin(session, b" " * (MAX_MANIFEST_BYTES + 1))
    for number in range(MAX_PLUGINS):
        await service.register_plugin(session, _manifest(f"plugin{number}"))
    with pytest.raises(Exhausted, match="plugins at most"):
        await service.register_plugin(session, _manifest("another"))
    assert await service.register_plugin(session, _manifest("plugin0")) == ("plugin0", "")


async def test_an_unknown_plugin_is_not_found(service, session):
    with pytest.raises(NotFound, match="'none' is not registered"):
        await service.plugin(session, "none")
