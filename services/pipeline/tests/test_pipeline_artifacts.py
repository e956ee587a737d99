"""Pipelines and weights as the engine builds them."""

import pytest
import torch

from swath.documents import PipelineMetadata, parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.stored import dump_weights
from swath.errors import ArtifactMissing, GraphInvalid
from swath_pipeline.artifacts import PipelineArtifacts

from .conftest import PIPELINE


@pytest.fixture
def document():
    return parse("pipeline", {**PIPELINE, "metadata": {"name": "RX"}})


def test_a_stored_pipeline_is_opened_with_its_weights(store, document):
    pipeline = Pipeline.from_document(document)
    pipeline.load_state({"rx": {"mu": torch.full((3,), 4.0)}}, strict=False)
    weights = store.put_sync(dump_weights(pipeline))
    opened = PipelineArtifacts(store).open(PipelineArtifacts(store).put(document), weights)
    assert opened.state()["rx"]["mu"].tolist() == [4.0] * 3


def test_a_stored_pipeline_is_named_by_what_it_holds(store, document):
    first = PipelineArtifacts(store).put(document)
    assert PipelineArtifacts(store).put(parse("pipeline", document.model_dump())) == first
    other = document.model_copy(update={"metadata": PipelineMetadata(name="another")})
    assert PipelineArtifacts(store).put(other) != first


def test_what_is_no_graph_is_not_stored(store, tmp_path):
    nodes = [{"name": "a", "class_name": "no.such.Node"}]
    with pytest.raises(GraphInvalid):
        PipelineArtifacts(store).put(parse("pipeline", {"nodes": nodes, "connections": []}))
    assert not [each for each in (tmp_path / "artifacts").rglob("*") if each.is_file()]


def test_what_was_never_stored_cannot_be_opened(store):
    with pytest.raises(ArtifactMissing):
        PipelineArtifacts(store).open("sha256:" + "0" * 64, None)
