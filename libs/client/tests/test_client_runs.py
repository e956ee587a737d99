"""A Train stream that is cut goes on where it was."""

from types import SimpleNamespace

import grpc
import pytest

from swath.client import CallError, NotFoundError, RetryConfig, RunSummary, UnavailableError, call_error
from swath.client.runs import Position
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

AWAY = UnavailableError("UNAVAILABLE", "going down")


def test_position_names_run_and_sequence_number_after_a_cut() -> None:
    position = Position(RetryConfig())
    assert position.metadata() == []
    position.opened([("swath-run-id", "r1")])
    position.received()
    position.received()
    assert position.cut(AWAY, {}) == pytest.approx(0.2)
    assert position.metadata() == [("swath-run-id", "r1"), ("swath-after-seq", "2")]


def test_position_starts_where_the_server_says() -> None:
    position = Position(RetryConfig())
    position.opened([("swath-run-id", "r1"), ("swath-after-seq", "10")])
    position.received()
    assert position.metadata()[1] == ("swath-after-seq", "11")


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED])
def test_a_stream_that_a_proxy_resets_goes_on(code: grpc.StatusCode) -> None:
    position = Position(RetryConfig())
    position.opened([("swath-run-id", "r1")])
    reset = SimpleNamespace(
        code=lambda: code,
        details=lambda: "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))",
        trailing_metadata=lambda: (),
    )
    assert position.cut(call_error(reset), {}) > 0


def test_stream_without_a_run_is_not_repeated() -> None:
    with pytest.raises(UnavailableError):
        Position(RetryConfig()).cut(AWAY, {})


def test_other_errors_end_the_stream() -> None:
    position = Position(RetryConfig())
    position.opened([("swath-run-id", "r1")])
    with pytest.raises(NotFoundError):
        position.cut(NotFoundError("NOT_FOUND", "no such run"), {})


def test_search_for_the_run_ends_after_its_time() -> None:
    now = [0.0]
    position = Position(RetryConfig(attach_s=10), clock=lambda: now[0])
    position.opened([("swath-run-id", "r1")])
    pauses = [position.cut(AWAY, {}) for _ in range(4)]
    now[0] = 11
    assert pauses == sorted(pauses)
    with pytest.raises(CallError):
        position.cut(AWAY, {})


def test_summary_folds_a_stream() -> None:
    summary = RunSummary()
    skipped = pb.DeciderCalibration(
        name="decider", status=pb.DECIDER_CALIBRATION_STATUS_SKIPPED, skip=pb.DECIDER_SKIP_NOTHING_WIRED
    )
    events = [
        pb.TrainEvent(hook=pb.TRAIN_HOOK_STATISTICAL_NODE_END, node="rx"),
        pb.TrainEvent(hook=pb.TRAIN_HOOK_CALIBRATION_END, calibration=pb.CalibrationOutcome(deciders=[skipped])),
        pb.TrainEvent(
            hook=pb.TRAIN_HOOK_EVALUATION_END,
            evaluation=pb.EvaluationOutcome(split=pb.EXECUTION_STAGE_TEST, metrics={"m/iou": 0.5}),
        ),
    ]
    for event in events:
        summary.add(pb.TrainResponse(status=pb.TRAIN_STATUS_RUNNING, event=event))
    summary.add(pb.TrainResponse(status=pb.TRAIN_STATUS_COMPLETE, losses={"train_loss": 1.0}, message="done"))
    assert summary.complete
    assert summary.nodes == ["rx"]
    assert summary.evaluations["test"].metrics["m/iou"] == 0.5
    assert summary.calibration_skips() == ["decider: DECIDER_SKIP_NOTHING_WIRED"]
