"""Pipelines and runs go to files and come back."""

import io

import numpy as np
import pytest
import torch
import yaml

from swath.client import numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

RX = "anomaly/rx/rx_statistical"


@pytest.fixture
def read(deployment):
    """Reads a file of the workspace."""
    return deployment.client.workspace.read


@pytest.fixture
def fitted(load_shipped, configure, train, session) -> str:
    """A session with RX fitted on the made frames."""
    load_shipped(RX)
    configure(name="kept", output_dir="somewhere", tags={"who": "me"})
    train(pb.TRAINER_TYPE_STATISTICAL)
    return session


@pytest.fixture
def scores(stub):
    """Scores of a made cube in a session, as they are on the wire."""
    batch = pb.InputBatch(
        cube=numpy_to_proto(np.random.default_rng(3).random((1, 8, 8, 61), dtype=np.float32)),
        wavelengths=numpy_to_proto((430 + 8 * np.arange(61))[None].astype(np.int32)),
    )

    def call(session_id: str) -> bytes:
        request = pb.InferenceRequest(session_id=session_id, inputs=batch, output_specs=["scores"])
        (answer,) = stub.Inference(request).outputs.values()
        return answer.raw_data

    return call


def test_a_pipeline_is_written_with_all_arguments_and_its_weights_beside_it(stub, fitted, read):
    metadata = pb.PipelineMetadata(name="mine", description="what", tags=["a"], author="me")
    stub.SavePipeline(pb.SavePipelineRequest(session_id=fitted, pipeline_path=f"{fitted}/p.yaml", metadata=metadata))
    document = yaml.safe_load(read(f"configs/pipeline/{fitted}/p.yaml"))
    assert [key for key in document if key != "plugins"] == ["nodes", "connections", "metadata"]
    saved = document["metadata"]
    assert [saved[key] for key in ("name", "description", "tags", "author")] == ["mine", "what", ["a"], "me"]
    assert saved["created"]
    (rx,) = [node for node in document["nodes"] if node["name"] == "RXGlobal"]
    assert rx["class_name"] == "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    assert rx["hparams"]["cache_inverse"] is True
    weights = torch.load(io.BytesIO(read(f"configs/pipeline/{fitted}/p.pt")), weights_only=True)
    assert set(weights["state_dict"]) == {node["name"] for node in document["nodes"]}
    assert set(weights["state_dict"]["RXGlobal"]) == {"mu", "cov", "cov_inv"}
    assert weights["metadata"]["name"] == "mine"


def test_the_name_is_the_files_unless_it_is_given(stub, fitted, read):
    stub.SavePipeline(pb.SavePipelineRequest(session_id=fitted, pipeline_path=f"{fitted}/plain.yaml"))
    assert yaml.safe_load(read(f"configs/pipeline/{fitted}/plain.yaml"))["metadata"]["name"] == "plain"


def test_a_saved_pipeline_is_found_and_gives_the_same_numbers_elsewhere(stub, fitted, read, scores):
    stub.SavePipeline(pb.SavePipelineRequest(session_id=fitted, pipeline_path=f"{fitted}/same.yaml"))
    other = stub.CreateSession(pb.CreateSessionRequest()).session_id
    info = stub.GetPipelineInfo(pb.GetPipelineInfoRequest(pipeline_path=f"{fitted}/same.yaml")).pipeline_info
    assert info.weights_path.endswith("same.pt")
    document = stub.ResolveConfig(
        pb.ResolveConfigRequest(session_id=other, config_type="pipeline", path=f"pipeline/{fitted}/same")
    )
    stub.LoadPipeline(
        pb.LoadPipelineRequest(session_id=other, pipeline=pb.PipelineConfig(config_bytes=document.config_bytes))
    )
    weights = read(f"configs/pipeline/{fitted}/same.pt")
    stub.LoadPipelineWeights(pb.LoadPipelineWeightsRequest(session_id=other, weights_bytes=weights))
    assert scores(other) == scores(fitted)
    stub.CloseSession(pb.CloseSessionRequest(session_id=other))


def test_a_run_is_three_files(stub, fitted, read):
    name = f"runs/{fitted}"
    saved = stub.SaveTrainRun(
        pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=f"{name}.yaml", save_weights=True)
    )
    assert saved.success
    assert saved.weights_path.endswith("_pipeline.pt")
    run = yaml.safe_load(read(f"{name}.yaml"))
    assert run["pipeline"] == f"{fitted}_pipeline.yaml"
    assert (run["name"], run["output_dir"], run["tags"]) == ("kept", "somewhere", {"who": "me"})
    assert yaml.safe_load(read(f"{name}_pipeline.yaml"))["nodes"]
    assert "RXGlobal" in torch.load(io.BytesIO(read(f"{name}_pipeline.pt")), weights_only=True)["state_dict"]


def test_a_run_without_weights_has_none(stub, fitted):
    saved = stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=f"runs/{fitted}-bare.yaml"))
    assert saved.weights_path == ""


def test_a_run_comes_back_by_its_path_alone(stub, fitted, scores):
    name = f"runs/{fitted}-back.yaml"
    stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=name, save_weights=True))
    restored = stub.RestoreTrainRun(pb.RestoreTrainRunRequest(trainrun_path=name))
    assert restored.session_id != fitted
    assert yaml.safe_load(restored.trainrun.config_bytes)["tags"] == {"who": "me"}
    assert scores(restored.session_id) == scores(fitted)
    stub.CloseSession(pb.CloseSessionRequest(session_id=restored.session_id))


def test_a_run_comes_back_into_a_session_with_weights_of_its_own(stub, fitted, scores):
    name = f"runs/{fitted}-into.yaml"
    saved = stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=name, save_weights=True))
    other = stub.CreateSession(pb.CreateSessionRequest()).session_id
    restored = stub.RestoreTrainRun(
        pb.RestoreTrainRunRequest(trainrun_path=name, weights_path=saved.weights_path, session_id=other)
    )
    assert restored.session_id == other
    assert scores(other) == scores(fitted)
    stub.CloseSession(pb.CloseSessionRequest(session_id=other))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "INVALID_ARGUMENT"),
        ("runs/none.yaml", "NOT_FOUND"),
        ("configs/trainrun/deep_svdd.yaml", "INVALID_ARGUMENT"),
    ],
    ids=["no path", "not there", "still to be composed"],
)
def test_what_cannot_be_restored(stub, failure, path, code):
    assert failure(stub.RestoreTrainRun, pb.RestoreTrainRunRequest(trainrun_path=path))[0] == code


@pytest.mark.parametrize("path", ["../../../escape.yaml", "/etc/escape.yaml"])
def test_files_stay_in_the_workspace(stub, session, load_shipped, configure, failure, path):
    load_shipped(RX)
    configure()
    for method, request in [
        (stub.SavePipeline, pb.SavePipelineRequest(session_id=session, pipeline_path=path)),
        (stub.SaveTrainRun, pb.SaveTrainRunRequest(session_id=session, trainrun_path=path)),
    ]:
        assert failure(method, request)[0] == "PERMISSION_DENIED"
