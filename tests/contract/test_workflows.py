"""The same training workflow as both generations of clients call it, unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from swath.client import (
    apply_trainrun_config,
    create_session_with_search_paths,
    numpy_to_proto,
    proto_to_numpy,
    resolve_trainrun_config,
)
from swath.client.cli import app
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


@pytest.fixture(scope="module")
def lentils(deployment, frames: dict) -> None:
    """The data config that shipped trainruns name, in the workspace's own layer, over the made frames."""
    deployment.client.workspace.put(json.dumps(frames).encode(), "configs/data/lentils.yaml")


def _train(stub, session: str, trainer: pb.TrainerType, **fields) -> list[pb.TrainResponse]:
    return list(stub.Train(pb.TrainRequest(session_id=session, trainer_type=trainer, **fields)))


def _hooks(stream: list[pb.TrainResponse]) -> list[str]:
    return [pb.TrainHook.Name(message.event.hook).removeprefix("TRAIN_HOOK_") for message in stream]


def _cube() -> np.ndarray:
    return np.random.default_rng(3).random((1, 16, 16, 61), dtype=np.float32)


WAVELENGTHS = (430 + 8 * np.arange(61))[None]


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.trainer.max_epochs=2", "pipeline.nodes.DeepSVDDCenterTracker.params.alpha=0.2"],
        ["training.max_epochs=2", "pipeline.nodes.5.hparams.alpha=0.2"],
    ],
    ids=["tutorial", "today"],
)
def test_the_five_phases(stub, lentils, overrides):
    # 1, 2: a session that knows where configs are
    session = create_session_with_search_paths(stub)
    # 3: compose the run; its pipeline comes inline, since an override reaches into it
    _, config = resolve_trainrun_config(stub, session, "deep_svdd", overrides)
    assert config["training"]["max_epochs"] == 2
    tracker = next(node for node in config["pipeline"]["nodes"] if node["name"] == "DeepSVDDCenterTracker")
    assert tracker["hparams"]["alpha"] == 0.2
    # 4: set it, with no LoadPipeline and no LoadPlugin anywhere
    applied = apply_trainrun_config(stub, session, json.dumps(config).encode())
    assert applied.success
    assert applied.pipeline_from_config
    # 5: train in two phases
    statistical = _train(stub, session, pb.TRAINER_TYPE_STATISTICAL)
    assert statistical[0].message == "Starting statistical training"
    assert statistical[-1].status == pb.TRAIN_STATUS_COMPLETE
    gradient = _train(stub, session, pb.TRAINER_TYPE_GRADIENT)
    assert _hooks(gradient).count("EPOCH_END") == 2
    assert gradient[-1].status == pb.TRAIN_STATUS_COMPLETE
    # Save, close, and bring the run back by its path alone
    name = f"runs/{session}.yaml"
    saved = stub.SavePipeline(pb.SavePipelineRequest(session_id=session, pipeline_path=f"made/{session}.yaml"))
    assert Path(saved.weights_path).suffix == ".pt"
    stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=session, trainrun_path=name, save_weights=True))
    inputs = pb.InputBatch(cube=numpy_to_proto(_cube()), wavelengths=numpy_to_proto(WAVELENGTHS.astype(np.float32)))
    before = stub.Inference(pb.InferenceRequest(session_id=session, inputs=inputs, output_specs=["scores"]))
    assert stub.CloseSession(pb.CloseSessionRequest(session_id=session)).success
    restored = stub.RestoreTrainRun(pb.RestoreTrainRunRequest(trainrun_path=name)).session_id
    after = stub.Inference(pb.InferenceRequest(session_id=restored, inputs=inputs, output_specs=["scores"]))
    (scores,), (again,) = before.outputs.values(), after.outputs.values()
    np.testing.assert_array_equal(np.asarray(proto_to_numpy(scores)), np.asarray(proto_to_numpy(again)))
    stub.CloseSession(pb.CloseSessionRequest(session_id=restored))


def test_as_clients_of_0_18_6_call_it(stub, session, frames, tmp_path):
    paths = stub.SetSessionSearchPaths(
        pb.SetSessionSearchPathsRequest(session_id=session, search_paths=["pipeline/anomaly/rx", "."], append=False)
    )
    assert paths.success
    pipeline = stub.ResolveConfig(
        pb.ResolveConfigRequest(session_id=session, config_type="pipeline", path="channel_selector")
    )
    manifest = {
        "name": "cuvis_ai_builtin",
        "path": str(tmp_path),
        "capabilities": [{"class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "kind": "node"}],
    }
    loaded = stub.LoadPlugin(
        pb.LoadPluginRequest(session_id=session, manifest=pb.PluginManifest(config_bytes=json.dumps(manifest).encode()))
    )
    assert (loaded.registered_plugin, loaded.error) == ("cuvis_ai_builtin", "")
    answer = stub.LoadPipeline(
        pb.LoadPipelineRequest(
            session_id=session,
            pipeline=pb.PipelineConfig(config_bytes=pipeline.config_bytes),
            data_module="npz_multi",
        )
    )
    assert answer.success
    resolved = stub.ResolveConfig(
        pb.ResolveConfigRequest(
            session_id=session,
            config_type="trainrun",
            path="trainrun/channel_selector",
            overrides=["training.max_epochs=2"],
        )
    )
    config = {**json.loads(resolved.config_bytes), "pipeline": None, "data": frames}
    applied = stub.SetTrainRunConfig(
        pb.SetTrainRunConfigRequest(
            session_id=session, config=pb.TrainRunConfig(config_bytes=json.dumps(config).encode())
        )
    )
    assert (applied.success, applied.pipeline_from_config) == (True, False)

    statistical = _train(stub, session, pb.TRAINER_TYPE_STATISTICAL)
    fitted = {message.event.node for message in statistical if message.event.hook == 15}
    assert {"MinMaxNormalizer", "SoftChannelSelector", "RXGlobal", "ScoreToLogit"} <= fitted

    gradient = _train(stub, session, pb.TRAINER_TYPE_GRADIENT)
    hooks = _hooks(gradient)
    epoch = ["EPOCH_START", "TRAIN_PROGRESS", "TRAIN_PROGRESS", "VALIDATION_START", "VALIDATION_PROGRESS"]
    first = hooks.index("EPOCH_START")
    assert hooks[first : first + 7] == [*epoch, "VALIDATION_END", "EPOCH_END"]
    tail = [hook for hook in hooks[hooks.index("FIT_END") :] if not hook.endswith("PROGRESS")]
    assert tail == [
        "FIT_END",
        "CHECKPOINT_RESTORED",
        "CALIBRATION_START",
        "CALIBRATION_END",
        "EVALUATION_START",
        "EVALUATION_END",
        "EVALUATION_START",
        "EVALUATION_END",
        "POST_FIT_END",
        "UNSPECIFIED",
    ]
    (calibration,) = [message.event.calibration for message in gradient if message.event.hook == 8]
    assert calibration.phase_skip == pb.CALIBRATION_PHASE_SKIP_NONE
    assert [decider.status for decider in calibration.deciders] == [pb.DECIDER_CALIBRATION_STATUS_CALIBRATED]

    again = _train(stub, session, pb.TRAINER_TYPE_CALIBRATION)
    assert again[-1].status == pb.TRAIN_STATUS_COMPLETE

    inputs = pb.InputBatch(cube=numpy_to_proto(_cube()), wavelengths=numpy_to_proto(WAVELENGTHS.astype(np.int32)))
    everything = stub.Inference(pb.InferenceRequest(session_id=session, inputs=inputs))
    assert {"RXGlobal.scores", "ScoreToLogit.logits", "BinaryDecider.decisions"} <= set(everything.outputs)
    assert not any(key.startswith("bce") for key in everything.outputs)


def test_a_pipeline_with_weights_can_be_loaded_elsewhere(deployment, stub, session, frames):
    config = {
        "name": "rx",
        "pipeline": "pipeline/anomaly/rx/rx_statistical.yaml",
        "data": frames,
        "metric_nodes": [],
    }
    stub.SetTrainRunConfig(
        pb.SetTrainRunConfigRequest(
            session_id=session, config=pb.TrainRunConfig(config_bytes=json.dumps(config).encode())
        )
    )
    _train(stub, session, pb.TRAINER_TYPE_STATISTICAL)
    stub.SavePipeline(pb.SavePipelineRequest(session_id=session, pipeline_path="made/rx.yaml"))
    other = stub.CreateSession(pb.CreateSessionRequest()).session_id
    document = stub.ResolveConfig(
        pb.ResolveConfigRequest(session_id=other, config_type="pipeline", path="pipeline/made/rx")
    )
    stub.LoadPipeline(
        pb.LoadPipelineRequest(session_id=other, pipeline=pb.PipelineConfig(config_bytes=document.config_bytes))
    )
    loaded = stub.LoadPipelineWeights(
        pb.LoadPipelineWeightsRequest(
            session_id=other, weights_bytes=deployment.client.workspace.read("configs/pipeline/made/rx.pt")
        )
    )
    assert loaded.resolved_path == "(client-bytes)"
    inputs = pb.InputBatch(cube=numpy_to_proto(_cube()), wavelengths=numpy_to_proto(WAVELENGTHS.astype(np.int32)))
    scores = [
        stub.Inference(pb.InferenceRequest(session_id=each, inputs=inputs, output_specs=["scores"])).outputs
        for each in (session, other)
    ]
    assert {key: value.raw_data for key, value in scores[0].items()} == {
        key: value.raw_data for key, value in scores[1].items()
    }
    stub.CloseSession(pb.CloseSessionRequest(session_id=other))


def test_the_command_that_trains_names_the_run_for_the_one_that_prints_its_log(deployment, lentils):
    runner, there = CliRunner(), ["--target", deployment.target]
    trained = runner.invoke(app, ["train", "deep_svdd", "--phase", "statistical", *there])
    assert trained.exit_code == 0, trained.output
    (run,) = [line.split()[1] for line in trained.output.splitlines() if line.startswith("run ")]
    printed = runner.invoke(app, ["logs", run, "--follow", *there])
    assert printed.exit_code == 0, printed.output
    first, *_, last = printed.output.splitlines()
    assert first.endswith("attempt begins")
    assert last.endswith("attempt ends  end=result")
