"""Bad input gets a clear error: the right code, a machine-readable reason, words that say what is wrong."""

import json

import grpc
import numpy as np
import pytest

from swath.client import numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
DENIED = grpc.StatusCode.PERMISSION_DENIED

DATA_NODE = {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode"}
NORMALIZER = {
    "name": "norm",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}
RX = {"name": "rx", "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": 4}}


def _document(*nodes: dict, edges: tuple[tuple[str, str], ...] = ()) -> pb.PipelineConfig:
    connections = [{"source": source, "target": target} for source, target in edges]
    return pb.PipelineConfig(config_bytes=json.dumps({"nodes": nodes, "connections": connections}).encode())


def _load(stub, session, document):
    return stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session, pipeline=document))


SESSION_CALLS = [
    (method, request)
    for method, request in [
        ("SetSessionSearchPaths", pb.SetSessionSearchPathsRequest),
        ("CloseSession", pb.CloseSessionRequest),
        ("ResolveConfig", pb.ResolveConfigRequest),
        ("LoadPipelineWeights", pb.LoadPipelineWeightsRequest),
        ("SetTrainRunConfig", pb.SetTrainRunConfigRequest),
        ("Train", pb.TrainRequest),
        ("StopTrain", pb.StopTrainRequest),
        ("GetTrainStatus", pb.GetTrainStatusRequest),
        ("SavePipeline", pb.SavePipelineRequest),
        ("LoadPipeline", pb.LoadPipelineRequest),
        ("SaveTrainRun", pb.SaveTrainRunRequest),
        ("GetPipelineInputs", pb.GetPipelineInputsRequest),
        ("GetPipelineOutputs", pb.GetPipelineOutputsRequest),
        ("GetPipelineVisualization", pb.GetPipelineVisualizationRequest),
        ("Inference", pb.InferenceRequest),
        ("LoadPlugin", pb.LoadPluginRequest),
        ("ListLoadedPlugins", pb.ListLoadedPluginsRequest),
        ("GetPluginInfo", pb.GetPluginInfoRequest),
        ("ListAvailableNodes", pb.ListAvailableNodesRequest),
        ("SetProfiling", pb.SetProfilingRequest),
        ("GetProfilingSummary", pb.GetProfilingSummaryRequest),
    ]
]


@pytest.mark.parametrize(("method", "request_type"), SESSION_CALLS, ids=[name for name, _ in SESSION_CALLS])
def test_an_unknown_session_is_not_found(stub, refused, method, request_type):
    code, reason, text = refused(getattr(stub, method), request_type(session_id="nobody"))
    assert (code, reason) == (NOT_FOUND, "SESSION_NOT_FOUND")
    assert text.startswith("Session nobody not found")


PIPELINE_CALLS = [
    ("LoadPipelineWeights", pb.LoadPipelineWeightsRequest(weights_path="x")),
    ("SavePipeline", pb.SavePipelineRequest(pipeline_path="x.yaml")),
    ("SaveTrainRun", pb.SaveTrainRunRequest(trainrun_path="x.yaml")),
    ("GetPipelineInputs", pb.GetPipelineInputsRequest()),
    ("GetPipelineOutputs", pb.GetPipelineOutputsRequest()),
    ("GetPipelineVisualization", pb.GetPipelineVisualizationRequest()),
    ("Inference", pb.InferenceRequest()),
    ("SetProfiling", pb.SetProfilingRequest(enabled=True)),
    ("GetProfilingSummary", pb.GetProfilingSummaryRequest()),
]


@pytest.mark.parametrize(("method", "request_"), PIPELINE_CALLS, ids=[name for name, _ in PIPELINE_CALLS])
def test_a_session_without_a_pipeline_is_a_failed_precondition(stub, session, refused, method, request_):
    request_.session_id = session
    code, reason, text = refused(getattr(stub, method), request_)
    assert (code, reason) == (PRECONDITION, "PIPELINE_MISSING")
    assert "Call LoadPipeline or RestoreTrainRun first" in text


GRAPHS = [
    ("unknown class", _document({"name": "a", "class_name": "cuvis_ai.node.nothing.Nothing"}), "Nothing"),
    ("unknown node", _document(DATA_NODE, edges=(("x.outputs.cube", "data.inputs.cube"),)), "Source node not found: x"),
    (
        "unknown port",
        _document(DATA_NODE, NORMALIZER, edges=(("data.outputs.cube", "norm.inputs.p"),)),
        "Input port 'p' not found on node 'norm'",
    ),
    (
        "types that differ",
        _document(DATA_NODE, RX, edges=(("data.outputs.mask", "rx.inputs.data"),)),
        "Cannot connect data.mask to rx.data: ",
    ),
    (
        "a cycle",
        _document(
            NORMALIZER,
            {**NORMALIZER, "name": "norm2"},
            edges=(("norm.outputs.normalized", "norm2.inputs.data"), ("norm2.outputs.normalized", "norm.inputs.data")),
        ),
        "cycle",
    ),
    ("two nodes of one name", _document(DATA_NODE, DATA_NODE), "data"),
    ("an unknown hparam", _document({**RX, "hparams": {"num_channels": 4, "bands": 2}}), "bands"),
]


@pytest.mark.parametrize(("document", "words"), [case[1:] for case in GRAPHS], ids=[case[0] for case in GRAPHS])
def test_a_graph_that_cannot_be_is_refused_by_name(stub, session, refused, document, words):
    code, reason, text = refused(stub.LoadPipeline, pb.LoadPipelineRequest(session_id=session, pipeline=document))
    assert (code, reason) == (INVALID, "GRAPH_INVALID")
    assert words in text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"nodes": 3}', b"\xff"])
def test_a_document_that_is_none_is_refused(stub, session, refused, content):
    code, reason, _ = refused(
        stub.LoadPipeline,
        pb.LoadPipelineRequest(session_id=session, pipeline=pb.PipelineConfig(config_bytes=content)),
    )
    assert (code, reason) == (INVALID, "DOCUMENT_INVALID")


@pytest.fixture
def normalizing(stub, session):
    """A session whose pipeline takes [B, H, W, C] and needs no fit."""
    _load(
        stub,
        session,
        _document(DATA_NODE, NORMALIZER, edges=(("data.outputs.cube", "norm.inputs.data"),)),
    )
    return session


CUBE = np.zeros((1, 4, 4, 3), dtype=np.float32)
WAVELENGTHS = np.array([[400, 500, 600]], dtype=np.int32)


def test_a_wrong_rank_is_refused_by_name(stub, normalizing, refused):
    batch = pb.InputBatch(wavelengths=numpy_to_proto(WAVELENGTHS), cube=numpy_to_proto(CUBE[0]))
    code, reason, text = refused(stub.Inference, pb.InferenceRequest(session_id=normalizing, inputs=batch))
    assert (code, reason) == (INVALID, "INPUT_INVALID")
    assert "Shape rank mismatch: source has 3 dimensions, target expects 4" in text


def test_a_wrong_type_and_a_wrong_channel_count_name_node_port_expected_and_got(stub, session, refused):
    _load(stub, session, _document(RX))

    def infer(cube):
        batch = pb.InputBatch(extra_inputs={"data": numpy_to_proto(cube)})
        return refused(stub.Inference, pb.InferenceRequest(session_id=session, inputs=batch))

    _, _, text = infer(CUBE.astype(np.float64))
    assert all(word in text for word in ("'rx'", "'data'", "float32", "float64"))
    _, reason, text = infer(np.zeros((1, 4, 4, 5), dtype=np.float32))
    assert reason in ("INPUT_INVALID", "NOT_FITTED")


def test_a_node_without_statistics_is_a_failed_precondition(stub, session, refused):
    _load(stub, session, _document(RX))
    batch = pb.InputBatch(extra_inputs={"data": numpy_to_proto(np.zeros((1, 4, 4, 4), dtype=np.float32))})
    code, reason, text = refused(stub.Inference, pb.InferenceRequest(session_id=session, inputs=batch))
    assert (code, reason) == (PRECONDITION, "NOT_FITTED")
    assert "'rx'" in text


def test_pickled_weights_with_code_are_refused(stub, normalizing, refused, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    weights = pickle.dumps({"state_dict": Evil()})
    code, reason, _ = refused(
        stub.LoadPipelineWeights, pb.LoadPipelineWeightsRequest(session_id=normalizing, weights_bytes=weights)
    )
    assert (code, reason) == (INVALID, "WEIGHTS_INVALID")
    assert not (tmp_path / "touched").exists()


def test_weights_need_a_source(stub, normalizing, refused):
    code, _, text = refused(stub.LoadPipelineWeights, pb.LoadPipelineWeightsRequest(session_id=normalizing))
    assert code == INVALID
    assert "Provide either weights_path or weights_bytes" in text


def test_a_missing_config_names_where_was_looked(stub, session, refused):
    code, reason, text = refused(
        stub.ResolveConfig, pb.ResolveConfigRequest(session_id=session, config_type="trainrun", path="trainrun/none")
    )
    assert (code, reason) == (NOT_FOUND, "CONFIG_NOT_FOUND")
    assert "Config file 'trainrun/none' not found in search paths: [" in text


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("SavePipeline", pb.SavePipelineRequest(pipeline_path="../../../escape.yaml")),
        ("SavePipeline", pb.SavePipelineRequest(pipeline_path="/etc/escape.yaml")),
        ("LoadPipelineWeights", pb.LoadPipelineWeightsRequest(weights_path="/etc/passwd")),
    ],
)
def test_paths_that_leave_the_allowed_roots_are_denied(stub, normalizing, refused, method, request_):
    request_.session_id = normalizing
    code, reason, _ = refused(getattr(stub, method), request_)
    assert (code, reason) == (DENIED, "PATH_DENIED")


def test_a_run_outside_of_the_allowed_roots_is_denied(stub, refused):
    code, reason, _ = refused(stub.RestoreTrainRun, pb.RestoreTrainRunRequest(trainrun_path="/etc/passwd.yaml"))
    assert (code, reason) == (DENIED, "PATH_DENIED")


def test_search_paths_outside_of_the_allowed_roots_are_listed(stub, session):
    answer = stub.SetSessionSearchPaths(
        pb.SetSessionSearchPathsRequest(session_id=session, search_paths=["/etc", "trainrun"])
    )
    assert answer.success
    assert answer.rejected_paths == ["/etc"]
