"""Pipelines and weights on their way into sessions."""

import io
import json

import pytest
import torch

from swath.documents import parse
from swath.engine.graph import weights
from swath.engine.graph.pipeline import Pipeline
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
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.service import CLIENT_BYTES

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
    state = Pipeline.from_document(parse("pipeline", document)).state()
    for name, mean in means.items():
        state[name]["mu"].fill_(mean)
    return weights.dump(state)


@pytest.fixture
def means(sessions, store):
    """Returns the means that the nodes of a session's pipeline have."""

    async def read(session_id):
        session = await sessions.get(session_id)
        pipeline = PipelineArtifacts(store).open(session.pipeline_digest, session.weights_digest)
        return {name: node["mu"][0].item() for name, node in pipeline.state().items()}

    return read


class TestPipelines:
    async def test_a_pipeline_comes_with_its_metadata(self, service, sessions, session):
        metadata = {"name": "RX", "tags": ["anomaly"], "author": "somebody"}
        found = await service.load_pipeline(session, json.dumps({**PIPELINE, "metadata": metadata}).encode())
        assert (found.name, found.tags, found.author) == ("RX", ["anomaly"], "somebody")
        assert (await sessions.get(session)).pipeline_digest

    async def test_one_without_metadata_has_an_empty_name(self, service, session):
        assert (await service.load_pipeline(session, json.dumps(PIPELINE).encode())).name == ""

    async def test_the_same_document_is_the_same_pipeline(self, service, sessions, session):
        digests = set()
        for text in (json.dumps(PIPELINE), json.dumps(PIPELINE, indent=2, sort_keys=True)):
            await service.load_pipeline(session, text.encode())
            digests.add((await sessions.get(session)).pipeline_digest)
        assert len(digests) == 1

    async def test_a_new_pipeline_has_no_weights(self, service, sessions, loaded):
        await service.load_weights(loaded, path=None, data=_weights(PIPELINE), strict=True)
        assert (await sessions.get(loaded)).weights_digest
        await service.load_pipeline(loaded, json.dumps(PIPELINE).encode())
        assert (await sessions.get(loaded)).weights_digest is None

    async def test_what_is_no_graph_leaves_the_session_as_it_was(self, service, sessions, loaded):
        before = await sessions.get(loaded)
        nodes = [{"name": "a", "class_name": "no.such.Node"}]
        with pytest.raises(GraphInvalid, match=r"no\.such\.Node"):
            await service.load_pipeline(loaded, json.dumps({"nodes": nodes, "connections": []}).encode())
        assert (await sessions.get(loaded)).pipeline_digest == before.pipeline_digest

    @pytest.mark.parametrize(
        "edge",
        [
            {"source": "rx.outputs.nothing", "target": "rx.inputs.data"},
            {"source": "rx.outputs.scores", "target": "nobody.inputs.data"},
        ],
    )
    async def test_an_edge_from_or_to_nowhere_is_refused(self, service, session, edge):
        with pytest.raises((GraphInvalid, DocumentInvalid)):
            await service.load_pipeline(session, json.dumps({**PIPELINE, "connections": [edge]}).encode())

    async def test_nobody_s_session_gets_nothing(self, service):
        with pytest.raises(SessionNotFound):
            await service.load_pipeline("nobody", json.dumps(PIPELINE).encode())


class TestDataModules:
    async def test_one_that_is_built_in_may_be_named(self, service, session):
        await service.load_pipeline(session, json.dumps(PIPELINE).encode(), "scene")

    async def test_one_that_there_is_not_is_refused_with_those_that_there_are(self, service, sessions, session):
        with pytest.raises(InvalidInput, match=r"no plugin provides data module 'none'; available: \[.*'scene'"):
            await service.load_pipeline(session, json.dumps(PIPELINE).encode(), "none")
        assert (await sessions.get(session)).pipeline_digest is None


class TestWeights:
    async def test_bytes_are_taken_as_they_are(self, service, loaded, means):
        assert await service.load_weights(loaded, path=None, data=_weights(PIPELINE, rx=7), strict=True) == CLIENT_BYTES
        assert await means(loaded) == {"rx": 7}

    @pytest.mark.parametrize("name", ["rx.pt", "rx"])
    async def test_a_file_is_found_with_and_without_its_suffix(self, service, loaded, workspace, means, name):
        (workspace.root / "rx.pt").write_bytes(_weights(PIPELINE, rx=2))
        assert await service.load_weights(loaded, path=name, data=None, strict=True) == str(workspace.root / "rx.pt")
        assert await means(loaded) == {"rx": 2}

    async def test_a_file_is_looked_for_in_the_search_paths(self, service, sessions, loaded, own, means):
        (own / "beside.pt").write_bytes(_weights(PIPELINE, rx=3))
        with pytest.raises(FileMissing, match="beside"):
            await service.load_weights(loaded, path="beside.pt", data=None, strict=True)
        await sessions.change(loaded, lambda _: {"search_paths": (str(own),)})
        await service.load_weights(loaded, path="beside.pt", data=None, strict=True)
        assert await means(loaded) == {"rx": 3}

    @pytest.mark.parametrize("path", ["/etc/passwd.pt", "../../outside.pt"])
    async def test_a_file_outside_of_the_workspace_is_denied(self, service, loaded, path):
        with pytest.raises((PathDenied, FileMissing)):
            await service.load_weights(loaded, path=path, data=None, strict=True)

    @pytest.mark.parametrize("path", [None, ""])
    async def test_neither_a_file_nor_bytes_is_refused(self, service, loaded, path):
        with pytest.raises(InvalidInput, match="either weights_path or weights_bytes"):
            await service.load_weights(loaded, path=path, data=None, strict=True)

    async def test_weights_need_a_pipeline(self, service, session):
        with pytest.raises(PipelineMissing):
            await service.load_weights(session, path=None, data=_weights(PIPELINE), strict=True)

    async def test_a_pickle_is_never_opened(self, service, loaded):
        content = io.BytesIO()
        torch.save({"state_dict": {"rx": {"mu": print}}}, content)
        with pytest.raises(WeightsInvalid, match="refused"):
            await service.load_weights(loaded, path=None, data=content.getvalue(), strict=True)

    async def test_weights_of_another_shape_are_refused_strict_or_not(self, service, sessions, loaded):
        wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
        for strict in (True, False):
            with pytest.raises(WeightsInvalid, match="do not fit the pipeline"):
                await service.load_weights(loaded, path=None, data=_weights(wider), strict=strict)
        assert (await sessions.get(loaded)).weights_digest is None


class TestStrictness:
    @pytest.fixture
    async def two(self, service, session):
        """A session of two nodes whose means are 1 and 2."""
        await service.load_pipeline(session, json.dumps(TWO).encode())
        await service.load_weights(session, path=None, data=_weights(TWO, first=1, second=2), strict=True)
        return session

    @pytest.fixture
    def half(self):
        """Weights of the first node alone."""
        return _weights({**TWO, "nodes": TWO["nodes"][:1]}, first=5)

    async def test_weights_that_lack_a_node_are_refused(self, service, two, half, means):
        with pytest.raises(WeightsInvalid, match="second is missing"):
            await service.load_weights(two, path=None, data=half, strict=True)
        assert await means(two) == {"first": 1, "second": 2}

    async def test_otherwise_the_others_stay_as_they_were(self, service, two, half, means):
        await service.load_weights(two, path=None, data=half, strict=False)
        assert await means(two) == {"first": 5, "second": 2}

    async def test_weights_of_a_node_that_there_is_not_are_refused_or_left_out(self, service, loaded, means):
        data = _weights(
            {**PIPELINE, "nodes": [*PIPELINE["nodes"], {**PIPELINE["nodes"][0], "name": "other"}]}, rx=4, other=9
        )
        with pytest.raises(WeightsInvalid, match="other is no node of the pipeline"):
            await service.load_weights(loaded, path=None, data=data, strict=True)
        await service.load_weights(loaded, path=None, data=data, strict=False)
        assert await means(loaded) == {"rx": 4}


async def test_weights_of_a_pipeline_that_is_replaced_meanwhile_are_not_kept(service, sessions, store, loaded):
    wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
    other = PipelineArtifacts(store).put(parse("pipeline", wider))
    change = sessions.change

    async def overtaken(session, decide):
        await change(session.id, lambda _: {"pipeline_digest": other})
        return await change(session, decide)

    sessions.change = overtaken
    with pytest.raises(Precondition, match="got another pipeline while its weights were being loaded"):
        await service.load_weights(loaded, path=None, data=_weights(PIPELINE), strict=True)
    assert (await sessions.get(loaded)).weights_digest is None
