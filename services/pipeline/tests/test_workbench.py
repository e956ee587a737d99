"""Pipelines and weights as the engine builds them."""

import pytest
import torch

from swath.documents import PipelineMetadata, parse
from swath.errors import ArtifactMissing, GraphInvalid, WeightsInvalid
from swath_pipeline import workbench

from .conftest import PIPELINE


@pytest.fixture
def document():
    return parse("pipeline", {**PIPELINE, "metadata": {"name": "RX"}})


def test_a_document_is_built_without_weights(document):
    pipeline = workbench.build(document)
    assert pipeline.order == ("rx",)
    assert pipeline.metadata == PipelineMetadata(name="RX")


def test_weights_go_to_bytes_and_come_back(document):
    first, second = workbench.build(document), workbench.build(document)
    first.load_state({"rx": {"mu": torch.tensor([1.0, 2.0, 3.0])}}, strict=False)
    workbench.load_weights(second, workbench.dump_weights(first), strict=True)
    assert second.state()["rx"]["mu"].tolist() == [1.0, 2.0, 3.0]


def test_weights_hold_the_pipeline_s_metadata(document):
    from swath.engine.graph import weights

    _, metadata = weights.load(workbench.dump_weights(workbench.build(document)))
    assert metadata["name"] == "RX"


@pytest.mark.parametrize("data", [b"", b"PK no weights", b"\x80\x04N."])
def test_what_is_no_weights_file_is_refused(document, data):
    with pytest.raises(WeightsInvalid):
        workbench.load_weights(workbench.build(document), data, strict=False)


def test_a_stored_pipeline_is_opened_with_its_weights(store, document):
    pipeline = workbench.build(document)
    pipeline.load_state({"rx": {"mu": torch.full((3,), 4.0)}}, strict=False)
    weights = store.put_sync(workbench.dump_weights(pipeline))
    opened = workbench.open_pipeline(store, workbench.store_pipeline(store, document), weights)
    assert opened.state()["rx"]["mu"].tolist() == [4.0] * 3


def test_a_stored_pipeline_is_named_by_what_it_holds(store, document):
    first = workbench.store_pipeline(store, document)
    assert workbench.store_pipeline(store, parse("pipeline", document.model_dump())) == first
    other = document.model_copy(update={"metadata": PipelineMetadata(name="another")})
    assert workbench.store_pipeline(store, other) != first


def test_what_is_no_graph_is_not_stored(store, tmp_path):
    nodes = [{"name": "a", "class_name": "no.such.Node"}]
    with pytest.raises(GraphInvalid):
        workbench.store_pipeline(store, parse("pipeline", {"nodes": nodes, "connections": []}))
    assert not [each for each in (tmp_path / "artifacts").rglob("*") if each.is_file()]


def test_what_was_never_stored_cannot_be_opened(store):
    with pytest.raises(ArtifactMissing):
        workbench.open_pipeline(store, "sha256:" + "0" * 64, None)
