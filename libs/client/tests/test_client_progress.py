"""What a person sees of a Train stream, and what it came to."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from swath.client import RunSummary, TrainView
from swath.client.cli.progress import bars, note
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

RUNNING, COMPLETE = pb.TRAIN_STATUS_RUNNING, pb.TRAIN_STATUS_COMPLETE


def _event(hook: pb.TrainHook, **fields: object) -> pb.TrainResponse:
    return pb.TrainResponse(status=RUNNING, event=pb.TrainEvent(hook=hook, **fields))  # type: ignore[arg-type]


@pytest.fixture
def screen() -> Console:
    """A terminal of 100 columns, whose text is kept."""
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100)


def _text(screen: Console) -> str:
    """Everything that the terminal was sent."""
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_stream_is_followed_to_its_end(screen: Console) -> None:
    stream = [_event(pb.TRAIN_HOOK_FIT_START), pb.TrainResponse(status=COMPLETE, message="done")]
    with TrainView("statistical", screen) as view:
        summary = view.follow(stream)
    assert (summary.complete, summary.message) == (True, "done")
    assert summary is view.summary


def test_a_run_is_shown_by_its_title_and_what_the_server_says(screen: Console) -> None:
    with TrainView("statistical", screen) as view:
        view.show(pb.TrainResponse(status=RUNNING, message="Starting statistical training"))
    assert "statistical Starting statistical training" in _text(screen)


@pytest.mark.parametrize(
    ("hook", "epoch", "share"),
    [
        (pb.TRAIN_HOOK_EPOCH_START, 1, "0%"),
        (pb.TRAIN_HOOK_EPOCH_END, 1, "25%"),
        (pb.TRAIN_HOOK_EPOCH_START, 4, "75%"),
        (pb.TRAIN_HOOK_EPOCH_END, 4, "100%"),
    ],
)
def test_epochs_are_counted_when_they_end(screen: Console, hook: pb.TrainHook, epoch: int, share: str) -> None:
    with TrainView("gradient", screen) as view:
        view.show(_event(hook, epochs=pb.EpochProgress(current=epoch, total=4)))
    last = [line for line in _text(screen).splitlines() if f"gradient epoch {epoch}/4" in line][-1]
    assert f" {share} " in last


@pytest.mark.parametrize(
    ("event", "step"),
    [
        ({"hook": pb.TRAIN_HOOK_TRAIN_PROGRESS}, "train"),
        ({"hook": pb.TRAIN_HOOK_VALIDATION_PROGRESS}, "validate"),
        ({"hook": pb.TRAIN_HOOK_EPOCH_START}, "epoch"),
        ({"hook": pb.TRAIN_HOOK_STATISTICAL_PROGRESS, "node": "rx"}, "fit rx"),
        ({"hook": pb.TRAIN_HOOK_CALIBRATION_PROGRESS, "split": pb.EXECUTION_STAGE_VAL}, "calibrate val"),
        ({"hook": pb.TRAIN_HOOK_EVALUATION_PROGRESS, "split": pb.EXECUTION_STAGE_TEST}, "evaluate test"),
    ],
)
def test_the_step_under_way_has_a_bar_of_its_own(screen: Console, event: dict, step: str) -> None:
    with TrainView("gradient", screen) as view:
        view.show(_event(progress=pb.FrameProgress(done=1, total=4), **event))
    last = [line for line in _text(screen).splitlines() if "25%" in line][-1]
    assert f"  {step} " in last


def test_what_has_no_length_has_no_bar(screen: Console) -> None:
    with TrainView("gradient", screen) as view:
        view.show(_event(pb.TRAIN_HOOK_FIT_END, progress=pb.FrameProgress(done=1, total=4)))
    assert "25%" not in _text(screen)


def test_losses_and_metrics_stand_beside_the_bar(screen: Console) -> None:
    with TrainView("gradient", screen) as view:
        view.show(pb.TrainResponse(status=RUNNING, losses={"total": 0.123456}, metrics={"m/iou": 0.5}))
    assert "total 0.1235  m/iou 0.5" in _text(screen)


def test_a_view_that_is_not_open_counts_and_shows_nothing(screen: Console) -> None:
    view = TrainView("gradient", screen)
    view.show(pb.TrainResponse(status=RUNNING, losses={"total": 1.0}))
    assert view.summary.losses == {"total": 1.0}
    assert _text(screen) == ""


def test_where_there_is_no_terminal_nothing_moves() -> None:
    file = io.StringIO()
    with TrainView("gradient", Console(file=file)) as view:
        view.show(pb.TrainResponse(status=RUNNING, message="Starting"))
    assert file.getvalue().strip() == ""
    assert bars(Console(file=file)).disable


def test_a_note_holds_four_numbers_losses_first() -> None:
    summary = RunSummary(losses={"b": 2.0, "a": 1.0}, metrics={"z": 1e-9, "y": 1234567.0, "x": 3.0})
    assert note(summary) == "a 1  b 2  x 3  y 1.235e+06"
    assert note(summary, limit=1) == "a 1"
    assert note(RunSummary()) == ""


_EVALUATED = pb.EVALUATION_STATUS_EVALUATED


class TestSummary:
    def test_the_last_value_of_each_number_stays(self) -> None:
        summary = RunSummary()
        summary.add(pb.TrainResponse(status=RUNNING, losses={"total": 2.0, "l1": 1.0}, message="one"))
        summary.add(pb.TrainResponse(status=RUNNING, losses={"total": 1.5}, metrics={"m/iou": 0.25}))
        assert (summary.losses, summary.metrics, summary.message) == ({"total": 1.5, "l1": 1.0}, {"m/iou": 0.25}, "one")

    @pytest.mark.parametrize("status", ["TRAIN_STATUS_ERROR", "TRAIN_STATUS_RUNNING"])
    def test_only_a_run_that_ended_as_it_should_is_complete(self, status: str) -> None:
        summary = RunSummary()
        assert not summary.complete
        summary.add(pb.TrainResponse(status=status))
        assert (summary.complete, summary.status) == (False, status)

    def test_the_checkpoint_that_was_restored_is_known(self) -> None:
        summary = RunSummary()
        restored = pb.CheckpointRestored(path="checkpoints/03.ckpt")
        summary.add(_event(pb.TRAIN_HOOK_CHECKPOINT_RESTORED, checkpoint=restored))
        assert summary.checkpoint is not None
        assert summary.checkpoint.path == "checkpoints/03.ckpt"

    def test_what_evaluations_measured_is_a_line_per_split(self) -> None:
        summary = RunSummary()
        measured = {"m/iou": 0.25, "m/average_precision": 0.5}
        val = pb.EvaluationOutcome(split=pb.EXECUTION_STAGE_VAL, status=_EVALUATED, metrics=measured)
        summary.add(_event(pb.TRAIN_HOOK_EVALUATION_END, evaluation=val))
        test = pb.EvaluationOutcome(split=pb.EXECUTION_STAGE_TEST, status=_EVALUATED)
        summary.add(_event(pb.TRAIN_HOOK_EVALUATION_END, evaluation=test))
        assert summary.evaluation_lines() == [
            "val: m/average_precision 0.5000  m/iou 0.2500",
            "test: no metrics: no node measures anything, or the ground truth defines no number",
        ]

    def test_a_failed_evaluation_says_why_there_are_no_metrics(self) -> None:
        summary = RunSummary()
        failed = pb.EvaluationOutcome(
            split=pb.EXECUTION_STAGE_TEST, status=pb.EVALUATION_STATUS_FAILED, error="InputInvalid: no mask"
        )
        summary.add(_event(pb.TRAIN_HOOK_EVALUATION_END, evaluation=failed))
        assert summary.evaluation_lines() == ["test: no metrics: the evaluation failed: InputInvalid: no mask"]

    def test_a_run_without_splits_says_how_to_get_metrics(self) -> None:
        summary = RunSummary()
        for split in (pb.EXECUTION_STAGE_VAL, pb.EXECUTION_STAGE_TEST):
            missing = pb.EvaluationOutcome(split=split, status=pb.EVALUATION_STATUS_NO_SPLIT)
            summary.add(_event(pb.TRAIN_HOOK_EVALUATION_END, evaluation=missing))
        assert summary.evaluation_lines() == [
            "no metrics: the data has no val and no test split; "
            "name frames with ground truth under data.splits.val or data.splits.test"
        ]
        assert RunSummary().evaluation_lines() == []

    def test_a_run_without_calibration_says_so(self) -> None:
        assert RunSummary().calibration_skips() == ["calibration did not run"]

    def test_why_a_whole_calibration_was_left_out_is_said(self) -> None:
        summary = RunSummary()
        outcome = pb.CalibrationOutcome(phase_skip=pb.CALIBRATION_PHASE_SKIP_NO_SPLIT, phase_detail="no val split")
        summary.add(_event(pb.TRAIN_HOOK_CALIBRATION_END, calibration=outcome))
        assert summary.calibration_skips() == ["CALIBRATION_PHASE_SKIP_NO_SPLIT: no val split"]

    def test_a_calibration_that_left_nothing_out_has_no_skips(self) -> None:
        calibrated = pb.DeciderCalibration(name="decider", status=pb.DECIDER_CALIBRATION_STATUS_CALIBRATED)
        outcome = pb.CalibrationOutcome(phase_skip=pb.CALIBRATION_PHASE_SKIP_NONE, deciders=[calibrated])
        summary = RunSummary()
        summary.add(_event(pb.TRAIN_HOOK_CALIBRATION_END, calibration=outcome))
        assert summary.calibration_skips() == []
