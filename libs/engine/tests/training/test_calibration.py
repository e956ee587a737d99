"""Outcomes of calibration and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from swath.engine.graph.pipeline import Pipeline
from swath.engine.nodes.deciders.two_stage_decider import TwoStageBinaryDecider
from swath.engine.training import (
    CalibrationOutcome,
    DeciderSkip,
    DeciderStatus,
    EvaluationOutcome,
    EvaluationStatus,
    Event,
    Outcome,
    PhaseSkip,
    RunSpec,
    Trainer,
    run,
)

from .conftest import Frames, fit, make_pipeline, make_run, short


def calibrate(pipeline: Pipeline, frames: Frames, **changes: Any) -> tuple[CalibrationOutcome, Outcome, list[Event]]:
    events: list[Event] = []
    outcome = run(RunSpec(Trainer.CALIBRATION, make_run(**changes)), frames, pipeline, events.append)
    assert outcome.calibration is not None
    return outcome.calibration, outcome, events


def evaluations(events: list[Event]) -> dict[str, EvaluationOutcome]:
    return {
        short(event): event.event.evaluation for event in events if event.event is not None and event.event.evaluation
    }


def test_a_threshold_is_placed_and_travels_with_the_document(fitted: Pipeline, frames: Frames) -> None:
    calibration, outcome, _ = calibrate(fitted, frames)

    (decider,) = calibration.deciders
    change = decider.thresholds["threshold"]
    assert (calibration.applicable, calibration.phase_skip) == (True, PhaseSkip.NONE)
    assert (calibration.frames, calibration.anomalous_frames) == (5, 3)
    assert (decider.name, decider.class_name, decider.status) == ("decider", "BinaryDecider", DeciderStatus.CALIBRATED)
    assert change.before == 0.5
    assert {"precision", "recall", "f1_score", "iou"} <= set(decider.metrics)
    (node,) = [node for node in outcome.document.nodes if node.name == "decider"]
    assert node.hparams["threshold"] == change.after


def test_a_decider_can_have_several_thresholds(fitted: Pipeline, frames: Frames) -> None:
    gated = TwoStageBinaryDecider()
    gated.name = "decider"
    pipeline = Pipeline({**fitted.nodes, "decider": gated}, fitted.edges)

    calibration, outcome, events = calibrate(pipeline, frames)

    (decider,) = calibration.deciders
    (node,) = [node for node in outcome.document.nodes if node.name == "decider"]
    assert {name: change.before for name, change in decider.thresholds.items()} == {
        "image_threshold": None,
        "pixel_threshold": None,
    }
    assert {name: change.after for name, change in decider.thresholds.items()} == {
        name: node.hparams[name] for name in ("image_threshold", "pixel_threshold")
    }
    measured = evaluations(events)["evaluation_end:val"].metrics
    assert measured["metrics/f1_score"] == pytest.approx(decider.metrics["f1_score"])


def test_the_metrics_of_val_are_those_of_the_new_threshold(fitted: Pipeline, frames: Frames) -> None:
    calibration, _, events = calibrate(fitted, frames)

    measured = evaluations(events)["evaluation_end:val"]
    assert measured.status is EvaluationStatus.EVALUATED
    assert measured.frames == 5
    assert measured.metrics["metrics/f1_score"] == pytest.approx(calibration.deciders[0].metrics["f1_score"])


def test_without_val(fitted: Pipeline) -> None:
    calibration, _, events = calibrate(fitted, Frames({"train": 4, "test": 4}))

    assert calibration.phase_skip is PhaseSkip.NO_SPLIT
    assert calibration.summary() == "thresholds not calibrated: no val split"
    assert evaluations(events)["evaluation_end:val"].status is EvaluationStatus.NO_SPLIT


def test_with_one_class_only(fitted: Pipeline) -> None:
    calibration, _, _ = calibrate(fitted, Frames({"val": 4}, anomalous=False))

    assert calibration.phase_skip is PhaseSkip.SINGLE_CLASS
    assert calibration.summary() == "thresholds not calibrated: val split is single-class (0/4 frames anomalous)"
    assert calibration.deciders[0].status is DeciderStatus.SKIPPED
    assert calibration.deciders[0].thresholds_present


class Unlabelled(Frames):
    """Frames that come without masks."""

    def loader(self, split: str, **place: Any) -> Iterator[dict[str, Any]]:
        for batch in super().loader(split, **place):
            del batch["mask"]
            yield batch


def test_without_a_mask(frames: Frames) -> None:
    pipeline = make_pipeline(without=("bce", "metrics"))
    fit(pipeline, frames)

    calibration, _, _ = calibrate(pipeline, Unlabelled({"val": 4}), metric_nodes=[])

    assert calibration.phase_skip is PhaseSkip.AMBIGUOUS_MASK
    assert calibration.summary() == "thresholds not calibrated: expected one ground-truth 'mask' output, found []"


def test_a_split_without_ground_truth_says_what_lacks_who_needs_it_and_what_to_do(
    fitted: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    class Partly(Frames):
        def loader(self, split: str, **place: Any) -> Iterator[dict[str, Any]]:
            for batch in super().loader(split, **place):
                yield {key: value for key, value in batch.items() if split != "test" or key != "mask"}

    _, _, events = calibrate(fitted, Partly({"val": 4, "test": 2}))

    found = evaluations(events)
    assert found["evaluation_end:val"].status is EvaluationStatus.EVALUATED
    assert found["evaluation_end:test"].status is EvaluationStatus.FAILED
    assert found["evaluation_end:test"].error == (
        "node 'metrics' needs 'targets', and the frames of the test split have no source.mask (ground truth is a mask "
        "beside each cube); add it, take data.splits.test out, or choose other metric_nodes than ['metrics']"
    )
    (line,) = [record for record in caplog.records if "test" in record.getMessage() and record.levelname == "WARNING"]
    assert line.exc_info is None


def test_when_inference_fails(fitted: Pipeline, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(inputs: dict[str, Any], context: object) -> dict[str, Any]:
        raise RuntimeError("no luck")

    monkeypatch.setattr(fitted.nodes["scores"], "run", fail)

    calibration, outcome, events = calibrate(fitted, frames)

    assert calibration.phase_skip is PhaseSkip.INFERENCE_FAILED
    assert calibration.phase_detail == "RuntimeError: no luck"
    assert evaluations(events)["evaluation_end:test"].error == "RuntimeError: no luck"
    assert outcome.message.startswith("Calibration complete; thresholds not calibrated: inference over val failed")


def test_when_a_decider_fails(fitted: Pipeline, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scores: object, masks: object) -> dict[str, float]:
        raise RuntimeError("no luck")

    monkeypatch.setattr(fitted.nodes["decider"], "calibrate", fail)

    calibration, _, _ = calibrate(fitted, frames)

    assert calibration.phase_skip is PhaseSkip.NONE
    assert calibration.deciders[0].skip is DeciderSkip.CALIBRATE_FAILED
    assert calibration.summary() == "thresholds not calibrated: decider: RuntimeError: no luck"


def test_a_decider_without_scores(frames: Frames) -> None:
    pipeline = make_pipeline()
    fit(pipeline, frames)
    edges = [edge for edge in pipeline.edges if edge.target not in ("decider", "metrics")]
    unwired = Pipeline({name: node for name, node in pipeline.nodes.items() if name != "metrics"}, edges)

    calibration, _, _ = calibrate(unwired, frames, metric_nodes=[])

    assert calibration.deciders[0].skip is DeciderSkip.NOTHING_WIRED
    assert "nothing is wired into its score input" in calibration.summary()


def test_a_pipeline_without_deciders(frames: Frames) -> None:
    pipeline = make_pipeline(without=("decider", "metrics"))
    fit(pipeline, frames)

    calibration, outcome, events = calibrate(pipeline, frames, metric_nodes=[])

    assert not calibration.applicable
    assert [short(event) for event in events if "calibration" in short(event)] == ["calibration_end:val"]
    assert outcome.message == "Calibration complete; no calibratable decider"


def test_metrics_of_other_nodes_are_averaged(fitted: Pipeline, frames: Frames) -> None:
    _, _, events = calibrate(fitted, frames, metric_nodes=[])

    assert "center/deepsvdd_center/norm" in evaluations(events)["evaluation_end:val"].metrics
