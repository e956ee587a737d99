"""Pipelines and weights on their way into sessions."""

import io
import json

import pytest
import torch
from swath_pipeline.loading import CLIENT_BYTES

from swath.documents import parse
from swath.engine.graph import weights
from swath.errors import (
    DocumentInvalid,
    FileMissing,
    GraphInvalid,
    InvalidInput,
    PathDenied,
    PipelineMissing,
    Precondition,
    SessionNotFound,
    WeightsInvalid,
)
from swath_pipeline import workbench

from .conftest import PIPELINE

TWO = {
    "nodes": [
        {"name": name, "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": 2}}
        for name in ("first", "second")
    ],
    "connections": [],
}


def _weights(document, **means):
    """A weights file of a pipeline whose nodes have these means."""
    state = workbench.build(parse("pipeline", document)).state()
    for name, mean in means.items():
        state[name]["mu"].fill_(mean)
    return weights.dump(state)


@pytest.fixture
def means(sessions, store):
    """Tells the means that the nodes of a session's pipeline have."""

    async def read(session_id):
        session = await sessions.get(session_id)
        pipeline = workbench.open_pipeline(store, session.pipeline_digest, session.weights_digest)
        return {name: node["mu"][0].item() for name, node in pipeline.state().items()}

    return read


class TestPipelines:
    async def test_a_pipeline_comes_with_its_metadata(self, loading, sessions, session):
        metadata = {"name": "RX", "tags": ["anomaly"], "author": "somebody"}
        found = await loading.load_pipeline(session, json.dumps({**PIPELINE, "metadata": metadata}).encode())
        assert (found.name, found.tags, found.author) == ("RX", ["anomaly"], "somebody")
        assert (await sessions.get(session)).pipeline_digest

    async def test_one_without_metadata_has_an_empty_name(self, loading, session):
        assert (await loading.load_pipeline(session, json.dumps(PIPELINE).encode())).name == ""

    async def test_the_same_document_is_the_same_pipeline(self, loading, sessions, session):
        digests = set()
        for text in (json.dumps(PIPELINE), json.dumps(PIPELINE, indent=2, sort_keys=True)):
            await loading.load_pipeline(session, text.encode())
            digests.add((await sessions.get(session)).pipeline_digest)
        assert len(digests) == 1

    async def test_a_new_pipeline_has_no_weights(self, loading, sessions, loaded):
        await loading.load_weights(loaded, path=None, data=_weights(PIPELINE), strict=True)
        assert (await sessions.get(loaded)).weights_digest
        await loading.load_pipeline(loaded, json.dumps(PIPELINE).encode())
        assert (await sessions.get(loaded)).weights_digest is None

    async def test_what_is_no_graph_leaves_the_session_as_it_was(self, loading, sessions, loaded):
        before = await sessions.get(loaded)
        nodes = [{"name": "a", "class_name": "no.such.Node"}]
        with pytest.raises(GraphInvalid, match=r"no\.such\.Node"):
            await loading.load_pipeline(loaded, json.dumps({"nodes": nodes, "connections": []}).encode())
        assert (await sessions.get(loaded)).pipeline_digest == before.pipeline_digest

    @pytest.mark.parametrize(
        "edge",
        [
            {"source": "rx.outputs.nothing", "target": "rx.inputs.data"},
            {"source": "rx.outputs.scores", "target": "nobody.inputs.data"},
        ],
    )
    async def test_an_edge_from_or_to_nowhere_is_refused(self, loading, session, edge):
        with pytest.raises((GraphInvalid, DocumentInvalid)):
            await loading.load_pipeline(session, json.dumps({**PIPELINE, "connections": [edge]}).encode())

    async def test_nobody_s_session_gets_nothing(self, loading):
        with pytest.raises(SessionNotFound):
            await loading.load_pipeline("nobody", json.dumps(PIPELINE).encode())


class TestDataModules:
    async def test_one_that_is_built_in_may_be_named(self, loading, session):
        await loading.load_pipeline(session, json.dumps(PIPELINE).encode(), "scene")

    async def test_one_that_there_is_not_is_refused_with_those_that_there_are(self, loading, sessions, session):
        with pytest.raises(InvalidInput, match=r"no plugin provides data module 'none'; available: \[.*'scene'"):
            await loading.load_pipeline(session, json.dumps(PIPELINE).encode(), "none")
        assert (await sessions.get(session)).pipeline_digest is None


class TestWeights:
    async def test_bytes_are_taken_as_they_are(self, loading, loaded, means):
        assert await loading.load_weights(loaded, path=None, data=_weights(PIPELINE, rx=7), strict=True) == CLIENT_BYTES
        assert await means(loaded) == {"rx": 7}

    @pytest.mark.parametrize("name", ["rx.pt", "rx"])
    async def test_a_file_is_found_with_and_without_its_suffix(self, loading, loaded, workspace, means, name):
        (workspace.root / "rx.pt").write_bytes(_weights(PIPELINE, rx=2))
        assert await loading.load_weights(loaded, path=name, data=None, strict=True) == str(workspace.root / "rx.pt")
        assert await means(loaded) == {"rx": 2}

    async def test_a_file_is_looked_for_in_the_search_paths(self, loading, sessions, loaded, own, means):
        (own / "beside.pt").write_bytes(_weights(PIPELINE, rx=3))
        with pytest.raises(FileMissing, match="beside"):
            await loading.load_weights(loaded, path="beside.pt", data=None, strict=True)
        await sessions.change(loaded, lambda _: {"search_paths": (str(own),)})
        await loading.load_weights(loaded, path="beside.pt", data=None, strict=True)
        assert await means(loaded) == {"rx": 3}

    @pytest.mark.parametrize("path", ["/etc/passwd.pt", "../../outside.pt"])
    async def test_a_file_outside_of_the_workspace_is_denied(self, loading, loaded, path):
        with pytest.raises((PathDenied, FileMissing)):
            await loading.load_weights(loaded, path=path, data=None, strict=True)

    @pytest.mark.parametrize("path", [None, ""])
    async def test_neither_a_file_nor_bytes_is_refused(self, loading, loaded, path):
        with pytest.raises(InvalidInput, match="either weights_path or weights_bytes"):
            await loading.load_weights(loaded, path=path, data=None, strict=True)

    async def test_weights_need_a_pipeline(self, loading, session):
        with pytest.raises(PipelineMissing):
            await loading.load_weights(session, path=None, data=_weights(PIPELINE), strict=True)

    async def test_a_pickle_is_never_opened(self, loading, loaded):
        content = io.BytesIO()
        torch.save({"state_dict": {"rx": {"mu": print}}}, content)
        with pytest.raises(WeightsInvalid, match="refused"):
            await loading.load_weights(loaded, path=None, data=content.getvalue(), strict=True)

    async def test_weights_of_another_shape_are_refused_strict_or_not(self, loading, sessions, loaded):
        wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
        for strict in (True, False):
            with pytest.raises(WeightsInvalid, match="do not fit the pipeline"):
                await loading.load_weights(loaded, path=None, data=_weights(wider), strict=strict)
        assert (await sessions.get(loaded)).weights_digest is None


class TestStrictness:
    @pytest.fixture
    async def two(self, loading, session):
        """A session of two nodes whose means are 1 and 2."""
        await loading.load_pipeline(session, json.dumps(TWO).encode())
        await loading.load_weights(session, path=None, data=_weights(TWO, first=1, second=2), strict=True)
        return session

    @pytest.fixture
    def half(self):
        """Weights of the first node alone."""
        return _weights({**TWO, "nodes": TWO["nodes"][:1]}, first=5)

    async def test_weights_that_lack_a_node_are_refused(self, loading, two, half, means):
        with pytest.raises(WeightsInvalid, match="second is missing"):
            await loading.load_weights(two, path=None, data=half, strict=True)
        assert await means(two) == {"first": 1, "second": 2}

    async def test_otherwise_the_others_stay_as_they_were(self, loading, two, half, means):
        await loading.load_weights(two, path=None, data=half, strict=False)
        assert await means(two) == {"first": 5, "second": 2}

    async def test_weights_of_a_node_that_there_is_not_are_refused_or_left_out(self, loading, loaded, means):
        data = _weights(
            {**PIPELINE, "nodes": [*PIPELINE["nodes"], {**PIPELINE["nodes"][0], "name": "other"}]}, rx=4, other=9
        )
        with pytest.raises(WeightsInvalid, match="other is no node of the pipeline"):
            await loading.load_weights(loaded, path=None, data=data, strict=True)
        await loading.load_weights(loaded, path=None, data=data, strict=False)
        assert await means(loaded) == {"rx": 4}


async def test_weights_of_a_pipeline_that_is_replaced_meanwhile_are_not_kept(loading, sessions, store, loaded):
    wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
    other = workbench.store_pipeline(store, parse("pipeline", wider))
    change = sessions.change

    async def overtaken(session_id, decide):
        await change(session_id, lambda _: {"pipeline_digest": other})
        return await change(session_id, decide)

    sessions.change = overtaken
    with pytest.raises(Precondition, match="got another pipeline while its weights were being loaded"):
        await loading.load_weights(loaded, path=None, data=_weights(PIPELINE), strict=True)
    assert (await sessions.get(loaded)).weights_digest is None
