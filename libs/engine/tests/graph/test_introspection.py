"""What a pipeline tells of itself."""

import torch

from swath.documents import PipelineMetadata
from swath.engine.draw import markup
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage

NODES = {
    "select": ["SoftChannelSelector", {"n_select": 2, "input_channels": 5}],
    "rx": ["cuvis_ai.node.anomaly.rx_detector.RXGlobal", {"num_channels": 5}],
    "logit": ["ScoreToLogit"],
    "bce": ["AnomalyBCEWithLogits"],
}
EDGES = ["select.selected > rx.data", "rx.scores > logit.scores", "logit.logits > bce.predictions"]


def test_free_inputs_show_with_their_sizes(build):
    pipeline = build(NODES, EDGES)
    specs = pipeline.input_specs()
    assert set(specs) == {"data", "targets"}
    assert specs["data"].shape == (-1, -1, -1, 5)
    assert specs["targets"].dtype is torch.bool


def test_required_inputs_are_those_of_a_stage(build):
    pipeline = build(NODES, EDGES)
    assert pipeline.required_inputs() == ["data"]
    assert pipeline.required_inputs(Stage.TRAIN) == ["data", "targets"]


def test_free_outputs_show_with_their_sizes(build):
    specs = build(NODES, EDGES).output_specs()
    assert set(specs) == {"select.weights", "bce.loss"}
    assert specs["select.weights"].shape == (5,)


def test_nodes_are_fitted_in_waves(build):
    nodes = NODES | {"other": ["RXGlobal", {"num_channels": 5}]}
    assert build(nodes, EDGES).fit_waves() == (("select", "other"), ("rx",), ("logit",))


def test_a_document_comes_back_with_all_arguments(build, document):
    source = document(NODES, EDGES).model_copy(update={"metadata": PipelineMetadata(name="it"), "plugins": ["p"]})
    again = Pipeline.from_document(source).document()
    assert again.metadata == source.metadata
    assert again.plugins == ["p"]
    assert again.connections == source.connections
    assert again.nodes[1].class_name == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    assert again.nodes[1].hparams["eps"] == 1e-6
    assert again.nodes[2].class_name == "cuvis_ai.node.conversion.ScoreToLogit"
    assert Pipeline.from_document(again).document() == again


def test_mermaid_shows_nodes_edges_and_fitted_state(build):
    text = markup.mermaid(build(NODES, EDGES))
    assert text.startswith("flowchart LR")
    assert '-- "selected → data" -->' in text
    assert "<b>rx</b><br/>RXGlobal<br/>not fitted" in text


def test_dot_shows_ports(build):
    text = markup.dot(build(NODES, EDGES))
    assert text.startswith("digraph")
    assert 'n0:"o_selected":e -> n1:"i_data":w;' in text
    assert "float32[-1,-1,-1,5]" in text


def test_names_cannot_break_out_of_a_drawing(build):
    pipeline = build({'"]; evil <b>': ["PerPixelUnitNorm"]}, [])
    assert "<b>#quot;]; evil #lt;b#gt;</b>" in markup.mermaid(pipeline)
    assert "&quot;]; evil &lt;b&gt;" in markup.dot(pipeline)
