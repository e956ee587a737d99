"""Pipelines and weights come into a session."""

import io
import json

import numpy as np
import pytest
import torch

from swath.client import numpy_to_proto, proto_to_numpy
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

BANDS = 4
DATA = {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode"}
RX = {"name": "rx", "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": BANDS}}
SELECTOR = {
    "name": "selector",
    "class_name": "cuvis_ai.node.channel_selector.SoftChannelSelector",
    "hparams": {"n_select": 2, "input_channels": BANDS, "hard": True},
}
CUBE = np.random.default_rng(1).random((1, 6, 6, BANDS), dtype=np.float32)
RX_STATE = {
    "mu": torch.zeros(BANDS, dtype=torch.float64),
    "cov": torch.eye(BANDS, dtype=torch.float64),
    "cov_inv": 2 * torch.eye(BANDS, dtype=torch.float64),
}


def _weights(**states: dict) -> bytes:
    content = io.BytesIO()
    torch.save({"state_dict": states, "metadata": {"name": "made"}}, content)
    return content.getvalue()


@pytest.fixture
def load_weights(stub, session):
    """Loads weights into the session's pipeline."""

    def call(**fields) -> pb.LoadPipelineWeightsResponse:
        return stub.LoadPipelineWeights(pb.LoadPipelineWeightsRequest(session_id=session, **fields))

    return call


@pytest.fixture
def refused_weights(stub, session, failure):
    """Loads weights that must be refused; returns code and text."""

    def call(**fields) -> tuple[str, str]:
        return failure(stub.LoadPipelineWeights, pb.LoadPipelineWeightsRequest(session_id=session, **fields))

    return call


@pytest.fixture
def scores(stub, session):
    """Runs RX on `CUBE`."""

    def call() -> np.ndarray:
        batch = pb.InputBatch(extra_inputs={"data": numpy_to_proto(CUBE)})
        answer = stub.Inference(pb.InferenceRequest(session_id=session, inputs=batch, output_specs=["scores"]))
        return np.asarray(proto_to_numpy(answer.outputs["rx.scores"]))

    return call


def test_no_plugin_has_to_be_registered_and_metadata_comes_back(load):
    answer = load(RX, metadata={"name": "Mine", "tags": ["a", "b"], "author": "me"}, version="1.0")
    assert answer.success
    assert (answer.metadata.name, list(answer.metadata.tags), answer.metadata.author) == ("Mine", ["a", "b"], "me")


def test_another_pipeline_replaces_the_first_with_its_weights(stub, session, load, load_weights, failure):
    load(RX)
    load_weights(weights_bytes=_weights(rx=RX_STATE))
    load(RX)
    batch = pb.InputBatch(extra_inputs={"data": numpy_to_proto(CUBE)})
    code, text = failure(stub.Inference, pb.InferenceRequest(session_id=session, inputs=batch))
    assert code == "FAILED_PRECONDITION"
    assert "'rx' (RXGlobal) is not fitted" in text


def test_a_pipeline_that_is_refused_leaves_the_one_before_in_place(stub, session, load, failure):
    load(RX)
    broken = pb.PipelineConfig(config_bytes=b'{"nodes": [{"name": "a", "class_name": "none.None"}]}')
    code, text = failure(stub.LoadPipeline, pb.LoadPipelineRequest(session_id=session, pipeline=broken))
    assert code == "INVALID_ARGUMENT"
    assert "none.None" in text
    inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session))
    assert list(inputs.input_names) == ["data"]


def test_several_edges_into_a_plain_port_are_refused(stub, session, load, failure):
    nodes = [DATA, {**DATA, "name": "again"}, RX]
    edges = [{"source": f"{name}.outputs.cube", "target": "rx.inputs.data"} for name in ("data", "again")]
    content = json.dumps({"nodes": nodes, "connections": edges}).encode()
    request = pb.LoadPipelineRequest(session_id=session, pipeline=pb.PipelineConfig(config_bytes=content))
    code, text = failure(stub.LoadPipeline, request)
    assert code == "INVALID_ARGUMENT"
    assert all(word in text for word in ("'rx'", "'data'", "data.cube", "again.cube"))


def test_inference_is_in_eval_mode_from_the_first_call(stub, session, load, load_weights):
    load(SELECTOR)
    load_weights(weights_bytes=_weights(selector={"channel_logits": torch.tensor([0.0, 3.0, 1.0, 2.0])}))
    batch = pb.InputBatch(extra_inputs={"data": numpy_to_proto(CUBE)})
    answer = stub.Inference(pb.InferenceRequest(session_id=session, inputs=batch, output_specs=["weights"]))
    chosen = np.asarray(proto_to_numpy(answer.outputs["selector.weights"])) > 0
    assert chosen.tolist() == [False, True, False, True]


def test_weights_come_as_bytes(load, load_weights, scores):
    load(RX)
    assert load_weights(weights_bytes=_weights(rx=RX_STATE)).resolved_path == "(client-bytes)"
    np.testing.assert_allclose(scores()[..., 0], 2 * (CUBE**2).sum(-1), rtol=1e-5)


def test_weights_come_from_a_file_whose_suffix_may_be_left_out(deployment, session, load, load_weights, scores):
    load(RX)
    deployment.client.workspace.put(_weights(rx=RX_STATE), f"weights/{session}.pt")
    assert load_weights(weights_path=f"weights/{session}").resolved_path.endswith(f"weights/{session}.pt")
    assert scores().shape == (1, 6, 6, 1)


def test_weights_are_looked_for_in_the_search_paths(deployment, stub, session, load, load_weights):
    load(RX)
    deployment.client.workspace.put(_weights(rx=RX_STATE), f"studies/{session}/first.pt")
    stub.SetSessionSearchPaths(pb.SetSessionSearchPathsRequest(session_id=session, search_paths=[f"studies/{session}"]))
    assert load_weights(weights_path="first").success


def test_weights_that_are_not_there(load, refused_weights):
    load(RX)
    code, text = refused_weights(weights_path="weights/none")
    assert code == "NOT_FOUND"
    assert "weights/none.pt" in text


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"rx": {**RX_STATE, "more": torch.zeros(1)}}, "rx.more is unexpected"),
        ({"rx": {"mu": RX_STATE["mu"]}}, "rx.cov is missing"),
        ({}, "rx"),
        ({"rx": RX_STATE, "other": {"a": torch.zeros(1)}}, "other"),
    ],
    ids=["one key too many", "keys missing", "no node", "an unknown node"],
)
def test_strict_means_strict(load, load_weights, refused_weights, states, words):
    load(RX)
    code, text = refused_weights(weights_bytes=_weights(**states))
    assert code == "INVALID_ARGUMENT"
    assert words in text
    assert load_weights(weights_bytes=_weights(**states), strict=False).success


def test_a_wrong_shape_fits_under_no_circumstances(load, refused_weights):
    load(RX)
    states = {"rx": {**RX_STATE, "mu": torch.zeros(BANDS + 1, dtype=torch.float64)}}
    code, text = refused_weights(weights_bytes=_weights(**states), strict=False)
    assert code == "INVALID_ARGUMENT"
    assert f"rx.mu has shape [{BANDS + 1}], expected [{BANDS}]" in text


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"], ids=["empty", "garbage", "a broken zip"])
def test_garbage_is_no_weights_file(load, refused_weights, content):
    load(RX)
    code, _ = refused_weights(weights_bytes=content)
    assert code == "INVALID_ARGUMENT"


def test_inputs_are_the_free_ports_and_outputs_the_ends(stub, session, load):
    load(DATA, RX, edges=(("data.cube", "rx.data"),))
    inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session))
    assert set(inputs.input_names) == set(inputs.input_specs) == {"cube", "mask", "wavelengths", "mesu_index"}
    assert {name for name, spec in inputs.input_specs.items() if spec.required} == {"cube", "wavelengths"}
    assert inputs.input_specs["mask"].dtype == pb.D_TYPE_INT32
    outputs = stub.GetPipelineOutputs(pb.GetPipelineOutputsRequest(session_id=session))
    assert "rx.scores" in outputs.output_names
    assert "data.cube" not in outputs.output_names
    assert not any(spec.required for spec in outputs.output_specs.values())


def test_symbolic_sizes_are_told_as_numbers(stub, session, load):
    load(SELECTOR, RX, edges=(("selector.selected", "rx.data"),))
    inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session)).input_specs
    assert list(inputs["data"].shape)[-1] in (-1, BANDS)
    outputs = stub.GetPipelineOutputs(pb.GetPipelineOutputsRequest(session_id=session)).output_specs
    assert outputs["rx.scores"].dtype == pb.D_TYPE_FLOAT32
