"""Train and the calls around it."""

import io
import json
import threading

import numpy as np
import pytest
import torch

from swath.client import numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

STATISTICAL = pb.TRAINER_TYPE_STATISTICAL
GRADIENT = pb.TRAINER_TYPE_GRADIENT
CALIBRATION = pb.TRAINER_TYPE_CALIBRATION
SELECTOR = "anomaly/rx/channel_selector"
LOSSES = {"loss_nodes": ["bce"], "unfreeze_nodes": ["SoftChannelSelector", "RXGlobal", "ScoreToLogit"]}
FITTED = ["MinMaxNormalizer", "SoftChannelSelector", "RXGlobal", "ScoreToLogit"]


def _hooks(stream: list[pb.TrainResponse]) -> list[str]:
    return [pb.TrainHook.Name(message.event.hook).removeprefix("TRAIN_HOOK_") for message in stream]


def _of(stream: list[pb.TrainResponse], hook: str) -> list[pb.TrainResponse]:
    return [message for message, name in zip(stream, _hooks(stream), strict=True) if name == hook]


@pytest.fixture
def selector(load_shipped, configure):
    """A session that is about to train the channel selector in two phases of two epochs."""
    load_shipped(SELECTOR)

    def call(**fields) -> None:
        configure(**{"training": {"max_epochs": 2}, "metric_nodes": ["metrics_anomaly"], **LOSSES, **fields})

    call()
    return call


@pytest.fixture
def refused_training(stub, session, failure):
    """Trains what must be refused; returns code and text."""

    def call(trainer: int, **fields) -> tuple[str, str]:
        request = pb.TrainRequest(session_id=session, trainer_type=trainer, **fields)  # type: ignore[arg-type]
        return failure(stub.Train, request)

    return call


def test_nothing_has_been_trained_at_first(stub, session):
    latest = stub.GetTrainStatus(pb.GetTrainStatusRequest(session_id=session)).latest_progress
    assert (latest.status, latest.message) == (0, "No training activity in this session yet")


def test_a_statistical_run_fits_node_after_node(stub, session, selector, train):
    stream = train(STATISTICAL)
    first, last = stream[0], stream[-1]
    assert (first.status, first.message) == (pb.TRAIN_STATUS_RUNNING, "Starting statistical training")
    assert not first.HasField("event")
    assert (last.status, last.message) == (pb.TRAIN_STATUS_COMPLETE, "Statistical training complete")
    assert [message.event.node for message in _of(stream, "STATISTICAL_NODE_END")] == FITTED
    assert [message.message for message in _of(stream, "STATISTICAL_NODE_END")] == [f"Fitted {name}" for name in FITTED]
    for name in FITTED:
        progress = [each.event.progress for each in _of(stream, "STATISTICAL_PROGRESS") if each.event.node == name]
        assert [(each.done, each.total) for each in progress] == [(2, 4), (4, 4)]
    assert stub.GetTrainStatus(pb.GetTrainStatusRequest(session_id=session)).latest_progress == last


def test_a_gradient_run_tells_epochs_batches_and_what_follows(selector, train):
    train(STATISTICAL)
    stream = train(GRADIENT)
    hooks = _hooks(stream)
    epoch = ["EPOCH_START", "TRAIN_PROGRESS", "TRAIN_PROGRESS", "VALIDATION_START", "VALIDATION_PROGRESS"]
    epoch += ["VALIDATION_END", "EPOCH_END"]
    assert hooks[hooks.index("FIT_START") + 1 : hooks.index("FIT_END")] == epoch * 2
    (start,) = _of(stream, "FIT_START")
    assert not start.event.calibration_pending  # its decider has a threshold from the start
    starts = _of(stream, "EPOCH_START")
    assert [(each.event.epochs.current, each.event.epochs.total) for each in starts] == [(1, 2), (2, 2)]
    assert [each.context.epoch for each in starts] == [0, 1]
    progress = _of(stream, "TRAIN_PROGRESS")
    assert [(each.event.progress.done, each.event.progress.total) for each in progress] == [(2, 4), (4, 4)] * 2
    assert all(set(each.losses) == {"total"} for each in progress)
    assert [each.message for each in progress[:2]] == ["Training (2/4)", "Training (4/4)"]
    for each in _of(stream, "VALIDATION_END"):
        assert {"train_loss", "val_loss"} <= set(each.losses)
        assert {"bce", "metrics_anomaly/iou"} <= set(each.metrics)
        assert not any("loss" in name for name in each.metrics)
    assert stream[-1].message.startswith("Gradient training complete")
    assert stream[-1].context.epoch == 2


def test_the_best_checkpoint_comes_back_and_thresholds_are_placed(selector, train):
    selector(
        training={
            "max_epochs": 2,
            "callbacks": {"checkpoint": {"monitor": "val_loss", "mode": "min", "save_top_k": 1}},
        }
    )
    train(STATISTICAL)
    stream = train(GRADIENT)
    (restored,) = [each.event.checkpoint for each in _of(stream, "CHECKPOINT_RESTORED")]
    assert restored.restored
    assert restored.monitor == "val_loss"
    assert restored.path.endswith(".ckpt")
    (outcome,) = [each.event.calibration for each in _of(stream, "CALIBRATION_END")]
    assert (outcome.applicable, outcome.phase_skip) == (True, pb.CALIBRATION_PHASE_SKIP_NONE)
    assert (outcome.frames, outcome.anomalous_frames) == (2, 1)
    (decider,) = outcome.deciders
    assert decider.status == pb.DECIDER_CALIBRATION_STATUS_CALIBRATED
    assert decider.thresholds["threshold"].before == 0.5
    assert decider.metrics["f1_score"] > 0
    evaluated = [each.event.evaluation for each in _of(stream, "EVALUATION_END")]
    assert [pb.ExecutionStage.Name(each.split)[16:] for each in evaluated] == ["VAL", "TEST"]
    assert all(each.status == pb.EVALUATION_STATUS_EVALUATED for each in evaluated)


def test_a_calibration_stands_by_itself(selector, train):
    train(STATISTICAL)
    stream = train(CALIBRATION)
    assert stream[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert [name for name in _hooks(stream) if name.endswith("START")] == ["CALIBRATION_START"] + [
        "EVALUATION_START"
    ] * 2


def test_splits_that_are_missing_are_outcomes(selector, frames, train):
    alone = {**frames, "splits": {"train": frames["splits"]["train"]}}
    selector(data=alone)
    train(STATISTICAL)
    stream = train(CALIBRATION)
    (outcome,) = [each.event.calibration for each in _of(stream, "CALIBRATION_END")]
    assert outcome.phase_skip == pb.CALIBRATION_PHASE_SKIP_NO_SPLIT
    evaluated = [each.event.evaluation.status for each in _of(stream, "EVALUATION_END")]
    assert evaluated == [pb.EVALUATION_STATUS_NO_SPLIT] * 2


def test_data_and_training_of_the_request_win(load_shipped, stub, session, frames, train):
    load_shipped("anomaly/rx/rx_statistical")
    stream = train(STATISTICAL, data=pb.DataConfig(config_bytes=json.dumps({**frames, "batch_size": 4}).encode()))
    progress = [each.event.progress for each in _of(stream, "STATISTICAL_PROGRESS")]
    assert {(each.done, each.total) for each in progress} == {(4, 4)}


def test_training_needs_data(load_shipped, refused_training):
    load_shipped("anomaly/rx/rx_statistical")
    code, text = refused_training(STATISTICAL)
    assert code == "INVALID_ARGUMENT"
    assert "data" in text


@pytest.mark.parametrize(
    ("trainer", "words"), [(0, "Unknown trainer type: 0"), (9, "Unknown trainer type: 9")], ids=["none", "unknown"]
)
def test_a_kind_of_training_must_be_said(selector, refused_training, trainer, words):
    code, text = refused_training(trainer)
    assert code == "INVALID_ARGUMENT"
    assert words in text


def test_an_unknown_data_module_is_told_with_those_there_are(selector, refused_training, frames):
    data = pb.DataConfig(config_bytes=json.dumps({**frames, "data_module": "tape"}).encode())
    code, text = refused_training(STATISTICAL, data=data)
    assert code == "INVALID_ARGUMENT"
    assert "no plugin provides data module 'tape'; available: [" in text


def test_data_that_is_no_json_is_refused(selector, refused_training):
    code, _ = refused_training(STATISTICAL, data=pb.DataConfig(config_bytes=b"{"))
    assert code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"loss_nodes": []}, "loss"),
        ({"loss_nodes": ["none"]}, "none"),
        ({"metric_nodes": ["none"]}, "none"),
        ({"unfreeze_nodes": []}, "trainable"),
        ({"freeze_nodes": LOSSES["unfreeze_nodes"], "unfreeze_nodes": []}, "trainable"),
    ],
    ids=["no loss", "an unknown loss", "an unknown metric", "nothing to train", "all frozen"],
)
def test_gradient_training_needs_losses_and_something_to_train(selector, train, refused_training, fields, words):
    train(STATISTICAL)
    selector(**fields)
    code, text = refused_training(GRADIENT)
    assert code == "INVALID_ARGUMENT"
    assert words in text


def test_frozen_nodes_keep_their_weights(deployment, stub, session, selector, train):
    train(STATISTICAL)
    before = _saved(deployment, stub, session, "before")
    selector(unfreeze_nodes=["ScoreToLogit"], freeze_nodes=["SoftChannelSelector"])
    train(GRADIENT)
    after = _saved(deployment, stub, session, "after")
    assert before["SoftChannelSelector"]["channel_logits"].equal(after["SoftChannelSelector"]["channel_logits"])
    assert not before["ScoreToLogit"]["bias"].equal(after["ScoreToLogit"]["bias"])


def test_a_node_is_not_frozen_and_unfrozen_at_once(selector, train, refused_training):
    train(STATISTICAL)
    selector(freeze_nodes=["ScoreToLogit"])
    assert refused_training(GRADIENT) == (
        "INVALID_ARGUMENT",
        "ScoreToLogit is in unfreeze_nodes and in freeze_nodes",
    )


def _saved(deployment, stub, session: str, name: str) -> dict:
    path = f"{session}/{name}"
    stub.SavePipeline(pb.SavePipelineRequest(session_id=session, pipeline_path=f"{path}.yaml"))
    content = deployment.client.workspace.read(f"configs/pipeline/{path}.pt")
    return torch.load(io.BytesIO(content), weights_only=True)["state_dict"]


def test_a_calibration_needs_weights(selector, refused_training):
    code, _ = refused_training(CALIBRATION)
    assert code == "FAILED_PRECONDITION"


@pytest.mark.parametrize("content", [b"{}", b"", b"[]"], ids=["nothing", "empty", "a list"])
def test_what_is_no_run_is_refused(load_shipped, stub, session, failure, content):
    load_shipped(SELECTOR)
    request = pb.SetTrainRunConfigRequest(session_id=session, config=pb.TrainRunConfig(config_bytes=content))
    code, _ = failure(stub.SetTrainRunConfig, request)
    assert code == "INVALID_ARGUMENT"


def test_a_run_may_bring_its_pipeline(configure):
    answer = configure(pipeline=f"pipeline/{SELECTOR}.yaml", **LOSSES)
    assert (answer.success, answer.pipeline_from_config) == (True, True)


def test_a_stop_is_accepted_when_nothing_runs_and_holds_until_the_next_configuration(stub, session, selector, train):
    assert stub.StopTrain(pb.StopTrainRequest(session_id=session)).accepted
    (only,) = train(STATISTICAL)
    assert only.status == pb.TRAIN_STATUS_CANCELLED
    assert only.message == "Training run was cancelled; not starting this trainer phase"
    selector()
    assert train(STATISTICAL)[-1].status == pb.TRAIN_STATUS_COMPLETE


def test_a_run_that_is_stopped_ends_with_one_cancelled(stub, session, selector, train):
    train(STATISTICAL)
    selector(training={"max_epochs": 5000})
    stream = stub.Train(pb.TrainRequest(session_id=session, trainer_type=GRADIENT))
    rest: list[pb.TrainResponse] = []
    for message in stream:
        rest.append(message)
        if message.event.hook == pb.TRAIN_HOOK_EPOCH_END and message.context.epoch == 0:
            stub.StopTrain(pb.StopTrainRequest(session_id=session))
    assert [message.status for message in rest].count(pb.TRAIN_STATUS_CANCELLED) == 1
    assert rest[-1].status == pb.TRAIN_STATUS_CANCELLED


def test_inference_answers_during_training_and_writes_wait(stub, session, selector, train, failure):
    train(STATISTICAL)
    selector(training={"max_epochs": 5000})
    batch = pb.InputBatch(
        cube=numpy_to_proto(np.random.default_rng(3).random((1, 8, 8, 61), dtype=np.float32)),
        wavelengths=numpy_to_proto((430 + 8 * np.arange(61))[None].astype(np.int32)),
    )
    request = pb.InferenceRequest(session_id=session, inputs=batch, output_specs=["scores"])
    before = stub.Inference(request)
    began = threading.Event()

    def read(stream) -> None:
        for message in stream:
            if message.event.hook == pb.TRAIN_HOOK_EPOCH_END:
                began.set()

    stream = stub.Train(pb.TrainRequest(session_id=session, trainer_type=GRADIENT))
    reader = threading.Thread(target=read, args=(stream,))
    reader.start()
    try:
        assert began.wait(120)
        assert stub.Inference(request) == before
        code, text = failure(
            stub.SetTrainRunConfig,
            pb.SetTrainRunConfigRequest(session_id=session, config=pb.TrainRunConfig(config_bytes=b"{}")),
        )
        assert code == "FAILED_PRECONDITION"
        assert f"Session {session} is training" in text
        statistical = pb.TrainRequest(session_id=session, trainer_type=STATISTICAL)
        assert failure(stub.Train, statistical)[0] == "FAILED_PRECONDITION"
    finally:
        stub.StopTrain(pb.StopTrainRequest(session_id=session))
        reader.join(60)


def test_capabilities_name_what_the_documents_take(stub):
    answer = stub.GetTrainingCapabilities(pb.GetTrainingCapabilitiesRequest())
    assert set(answer.supported_optimizers) >= {"adam", "adamw", "sgd"}
    assert set(answer.supported_schedulers) >= {"reduce_on_plateau", "cosine", "step", "exponential", "plateau"}
    assert {each.type for each in answer.supported_callbacks} >= {
        "EarlyStopping",
        "ModelCheckpoint",
        "LearningRateMonitor",
    }
    (lr,) = [each for each in answer.optimizer_params.parameters if each.name == "lr"]
    assert lr.required
    defaults = {each.name: each.default_value for each in answer.scheduler_params.parameters}
    assert (defaults["factor"], defaults["patience"]) == ("0.1", "10")
