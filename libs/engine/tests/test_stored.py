"""Pipelines and their weights as the bytes that services store."""

import pytest
import torch

from swath.documents import PipelineMetadata, parse
from swath.engine.graph import weights
from swath.engine.graph.pipeline import Pipeline
from swath.engine.stored import dump_weights, load_weights
from swath.errors import WeightsInvalid


@pytest.fixture
def document():
    detector = "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    nodes = [{"name": "rx", "class_name": detector, "hparams": {"num_channels": 3}}]
    return parse("pipeline", {"nodes": nodes, "connections": [], "metadata": {"name": "RX"}})


def test_a_document_is_built_without_weights(document):
    pipeline = Pipeline.from_document(document)
    assert pipeline.order == ("rx",)
    assert pipeline.metadata == PipelineMetadata(name="RX")


def test_weights_go_to_bytes_and_come_back(document):
    first, second = Pipeline.from_document(document), Pipeline.from_document(document)
    first.load_state({"rx": {"mu": torch.tensor([1.0, 2.0, 3.0])}}, strict=False)
    load_weights(second, dump_weights(first), strict=True)
    assert second.state()["rx"]["mu"].tolist() == [1.0, 2.0, 3.0]


def test_weights_hold_the_pipeline_s_metadata(document):
    _, metadata = weights.load(dump_weights(Pipeline.from_document(document)))
    assert metadata["name"] == "RX"


@pytest.mark.parametrize("data", [b"", b"PK no weights", b"\x80\x04N."])
def test_what_is_no_weights_file_is_refused(document, data):
    with pytest.raises(WeightsInvalid):
        load_weights(Pipeline.from_document(document), data, strict=False)
