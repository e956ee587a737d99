"""The sequence of events of each kind of run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from swath.documents import PluginSource
from swath.engine.data import WHOLE, Part
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training import Event, FrameProgress, Hook, RunSpec, Status, Trainer, run
from swath.engine.training.phases import statistical

from .conftest import Frames, fit, make_pipeline, make_run, make_training, same_state, short


def moments(events: list[Event]) -> list[str]:
    return [short(event) for event in events]


def test_statistical_nodes_share_passes_and_each_has_its_own_sequence(pipeline: Pipeline, frames: Frames) -> None:
    events: list[Event] = []
    spec = RunSpec(Trainer.STATISTICAL, make_run(), make_training())

    outcome = run(spec, frames, pipeline, events.append)

    assert outcome.status is Status.COMPLETE
    assert events[0].message == "Starting statistical training"
    assert events[-1].message == "Statistical training complete"
    assert (events[-1].context.epoch, events[-1].context.global_step) == (1, 1)
    for node in ("zscore", "center", "logit"):
        mine = [event for event in events if event.event is not None and event.event.node == node]
        assert [event.event.hook for event in mine if event.event] == [
            Hook.STATISTICAL_NODE_START,
            *[Hook.STATISTICAL_PROGRESS] * 4,
            Hook.STATISTICAL_NODE_END,
        ]
        assert [event.event.progress for event in mine[:-1] if event.event] == [
            FrameProgress(done, 7) for done in (0, 2, 4, 6, 7)
        ]
        assert mine[0].message == f"Fitting {node} (0/7)"
        assert mine[-1].message == f"Fitted {node}"
    assert [split for split, _, _ in frames.opened] == ["train"]  # three passes over frames that are read once


def test_frames_that_do_not_fit_in_memory_are_read_for_each_pass(
    pipeline: Pipeline, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make_pipeline()
    fit(expected, frames)
    frames.opened.clear()
    monkeypatch.setattr(statistical, "MAX_KEPT_BYTES", 1000)

    run(RunSpec(Trainer.STATISTICAL, make_run(), make_training()), frames, pipeline, lambda event: None)

    assert [split for split, _, _ in frames.opened] == ["train"] * 3
    assert same_state(pipeline.state(), expected.state())


def test_frames_are_read_for_each_pass_where_nodes_come_from_elsewhere(pipeline: Pipeline, frames: Frames) -> None:
    pipeline.sources = (PluginSource(name="theirs", path="/plugins/theirs"),)

    run(RunSpec(Trainer.STATISTICAL, make_run(), make_training()), frames, pipeline, lambda event: None)

    assert [split for split, _, _ in frames.opened] == ["train"] * 3


def test_frames_that_are_kept_hold_nothing_of_a_loaders_process(pipeline: Pipeline) -> None:
    given: list[weakref.ref[torch.Tensor]] = []
    held: list[int] = []

    class Shared(Frames):
        def loader(
            self, split: str, *, epoch: int, start_batch: int = 0, part: Part = WHOLE, batch_size: int | None = None
        ) -> Iterator[dict[str, Any]]:
            for batch in super().loader(split, epoch=epoch, start_batch=start_batch, part=part, batch_size=batch_size):
                batch["cube"].share_memory_()
                given.append(weakref.ref(batch["cube"]))
                yield batch

    def count(event: Event) -> None:
        held.append(sum(each() is not None for each in given))

    run(RunSpec(Trainer.STATISTICAL, make_run(), make_training()), Shared({"train": 16}), pipeline, count)

    assert len(given) == 8  # read once
    assert max(held) <= 2  # the batch at hand and the one that the loader has last given


def test_a_statistical_run_without_training_configuration_ends_with_the_post_fit_steps(
    pipeline: Pipeline, frames: Frames
) -> None:
    events: list[Event] = []

    outcome = run(RunSpec(Trainer.STATISTICAL, make_run()), frames, pipeline, events.append)

    assert (
        moments(events)[-16:]
        == [
            "statistical_node_end:logit",
            "calibration_start:val",
            *["calibration_progress:val"] * 3,
            "calibration_end:val",
            "evaluation_start:val",
            *["evaluation_progress:val"] * 3,
            "evaluation_end:val",
            "evaluation_start:test",
            *["evaluation_progress:test"] * 2,
            "evaluation_end:test",
            "post_fit_end",
            "complete",
        ][-16:]
    )
    assert outcome.message.startswith("Statistical training complete; thresholds calibrated on val: decider (threshold")


def test_gradient_sequence(fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]) -> None:
    events: list[Event] = []

    outcome = run(gradient_spec(), frames, fitted, events.append)

    epoch = [
        "epoch_start",
        *["train_progress"] * 4,
        "validation_start:val",
        *["validation_progress:val"] * 3,
        "validation_end:val",
        "epoch_end",
    ]
    post_fit = [
        "checkpoint_restored",
        "calibration_start:val",
        *["calibration_progress:val"] * 3,
        "calibration_end:val",
        "evaluation_start:val",
        *["evaluation_progress:val"] * 3,
        "evaluation_end:val",
        "evaluation_start:test",
        *["evaluation_progress:test"] * 2,
        "evaluation_end:test",
        "post_fit_end",
    ]
    assert moments(events) == ["fit_start", *epoch, *epoch, "fit_end", *post_fit, "complete"]
    assert [event.ordinal for event in events] == list(range(len(events)))
    assert outcome.events == len(events)


def test_gradient_messages_counts_and_values(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    events: list[Event] = []
    rates = {"learning_rate_monitor": {"logging_interval": "epoch"}}

    run(gradient_spec({"loss_nodes": ["svdd_loss", "bce"]}, callbacks=rates), frames, fitted, events.append)

    at = {short(event): event for event in events}
    assert at["fit_start"].message == "Gradient training"
    assert at["epoch_start"].message == "Training (0/7)"
    assert at["train_progress"].message == "Training (7/7)"
    assert set(at["train_progress"].losses) == {"total"}
    assert {"bce", "lr-AdamW"} < set(at["train_progress"].metrics)
    assert at["validation_progress:val"].message == "Validating (5/5)"
    assert set(at["validation_end:val"].losses) == {"train_loss", "val_loss", "train/svdd_loss", "val/svdd_loss"}
    assert {"bce", "lr-AdamW", "metrics/iou", "metrics/f1_score"} < set(at["validation_end:val"].metrics)
    assert at["fit_end"].event is not None
    assert at["fit_end"].event.epochs is not None
    assert (at["fit_end"].event.epochs.current, at["fit_end"].event.epochs.total) == (2, 2)
    assert at["complete"].context.epoch == 2
    assert at["complete"].context.global_step == 8
    assert at["complete"].message.startswith("Gradient training complete; thresholds calibrated on val: decider")
    assert at["post_fit_end"].message == "Post-fit steps complete"
    assert at["evaluation_progress:test"].message == "Evaluating test (4/4)"
    assert at["calibration_progress:val"].message == "Calibrating decider thresholds (5/5)"


def test_limits_leave_totals_unknown(fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]) -> None:
    events: list[Event] = []

    run(gradient_spec(limit_train_batches=2, limit_val_batches=1), frames, fitted, events.append)

    at = {short(event): event for event in events}
    assert moments(events).count("train_progress") == 4
    assert at["train_progress"].message == "Training (4)"
    assert at["validation_progress:val"].message == "Validating (2)"


def test_calibration_alone(fitted: Pipeline, frames: Frames) -> None:
    events: list[Event] = []

    outcome = run(RunSpec(Trainer.CALIBRATION, make_run()), frames, fitted, events.append)

    assert events[0].message == "Starting calibration"
    assert moments(events)[1] == "calibration_start:val"
    assert outcome.message.startswith("Calibration complete; thresholds calibrated on val: decider")


def test_sanity_steps_are_silent_and_leave_no_trace(frames: Frames, gradient_spec: Callable[..., RunSpec]) -> None:
    states = []
    for steps in (0, -1):
        pipeline = make_pipeline()
        fit(pipeline, frames)
        frames.opened.clear()
        events: list[Event] = []
        states.append(run(gradient_spec(num_sanity_val_steps=steps), frames, pipeline, events.append).state)
        assert frames.opened[0][0] == ("val" if steps else "train")
        assert moments(events)[:2] == ["fit_start", "epoch_start"]

    assert same_state(*states)


@pytest.mark.parametrize("stage", [Stage.VAL, Stage.TEST])
def test_a_missing_split_is_an_outcome(fitted: Pipeline, stage: Stage) -> None:
    frames = Frames({name: 4 for name in ("train", "val", "test") if name != stage})
    events: list[Event] = []

    run(RunSpec(Trainer.CALIBRATION, make_run()), frames, fitted, events.append)

    ends = [event for event in events if short(event) == f"evaluation_end:{stage}"]
    assert [event.message for event in ends] == [
        f"No {stage} split; evaluation skipped (data.splits.{stage} names its frames)"
    ]
