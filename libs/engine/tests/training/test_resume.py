"""A run that is interrupted and resumed ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import Event, Outcome, RunSpec, Status, Trainer, run
from swath.errors import Precondition, WeightsInvalid

from .conftest import Frames, SnapshotList, StopAfter, fit, make_pipeline, make_run, make_training, same_state, short

SETTINGS: dict[str, dict[str, Any]] = {
    "momentum, accumulation and warm-up": {
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9},
        "accumulate_grad_batches": 3,
        "scheduler": {"name": "cosine", "warmup_epochs": 1},
        "gradient_clip_val": 0.5,
    },
    "adamw, plateau, checkpoints and early stopping": {
        "scheduler": {"name": "plateau", "patience": 0, "factor": 0.5},
        "val_check_interval": 0.5,
        "callbacks": {
            "checkpoint": {"monitor": "metrics/iou", "mode": "max", "filename": "{epoch:02d}", "save_last": True},
            "early_stopping": [{"monitor": "val_loss", "patience": 3}],
            "learning_rate_monitor": {},
        },
    },
}


@pytest.fixture(params=SETTINGS)
def spec(request: pytest.FixtureRequest, gradient_spec: Callable[..., RunSpec]) -> RunSpec:
    run_part = {"unfreeze_nodes": ["zscore", "logit"], "loss_nodes": ["svdd_loss", "bce"]}
    return replace(gradient_spec(run_part, **SETTINGS[request.param], max_epochs=3), snapshot_every_s=0.0)


def start(spec: RunSpec, frames: Frames, **more: Any) -> tuple[Outcome, list[Event]]:
    pipeline = make_pipeline()
    if spec.trainer is Trainer.GRADIENT:
        fit(pipeline, frames)
    events: list[Event] = []
    control = StopAfter(events, more.pop("stop_after")) if "stop_after" in more else None
    return run(spec, frames, pipeline, events.append, control, **more), events


def in_folder(spec: RunSpec, folder: Path) -> RunSpec:
    return replace(spec, resolve=lambda path: folder / path)


def without_folder(events: list[Event], folder: Path) -> list[str]:
    return [repr(event).replace(str(folder), "") for event in events]


def test_from_every_snapshot_of_a_killed_run(spec: RunSpec, frames: Frames, tmp_path: Path) -> None:
    whole = in_folder(spec, tmp_path / "whole")
    expected, all_events = start(whole, frames)
    snapshots = SnapshotList()
    start(in_folder(spec, tmp_path / "first"), frames, checkpointer=snapshots)
    assert len(snapshots.kept) > 10

    for number, (snapshot, seen) in enumerate(snapshots.kept):
        # The files of the attempt that died are of its past and of its future: both must do no harm.
        outcome, events = start(in_folder(spec, tmp_path / "first"), frames, snapshot=snapshot)
        assert same_state(outcome.state, expected.state), number
        assert without_folder(events, tmp_path / "first") == without_folder(all_events[seen:], tmp_path / "whole")
        assert outcome.document == expected.document


def test_after_a_stop_at_any_event(spec: RunSpec, frames: Frames, tmp_path: Path) -> None:
    expected, all_events = start(in_folder(spec, tmp_path / "whole"), frames)

    for count in range(1, len(all_events) - 1, 7):
        mine = in_folder(spec, tmp_path / str(count))
        stopped, events = start(mine, frames, stop_after=count)
        if stopped.status is Status.COMPLETE:  # nothing was left to be asked at
            continue
        assert stopped.status is Status.CANCELLED
        assert [short(event) for event in events].count("cancelled") == 1
        outcome, rest = start(mine, frames, snapshot=stopped.snapshot)
        assert same_state(outcome.state, expected.state), count
        merged = {event.ordinal: event for event in [*events[:-1], *rest]}
        assert without_folder([merged[key] for key in sorted(merged)], tmp_path / str(count)) == without_folder(
            all_events, tmp_path / "whole"
        )


def test_a_statistical_run_goes_on_with_the_passes_that_are_left(frames: Frames) -> None:
    spec = RunSpec(Trainer.STATISTICAL, make_run(), snapshot_every_s=0.0)
    snapshots = SnapshotList()
    expected, all_events = start(spec, frames, checkpointer=snapshots)
    assert len(snapshots.kept) == 4  # one a pass, and one before the steps after the fit

    for number, (snapshot, seen) in enumerate(snapshots.kept):
        frames.opened.clear()
        outcome, events = start(spec, frames, snapshot=snapshot)
        assert same_state(outcome.state, expected.state)
        assert events == all_events[seen:]
        assert [split for split, _, _ in frames.opened].count("train") == (
            number < 2
        )  # one reading for the passes that are left


def test_a_stop_during_a_pass_starts_the_pass_over(frames: Frames) -> None:
    spec = RunSpec(Trainer.STATISTICAL, make_run(), make_training())
    expected, all_events = start(spec, frames)
    stopped, _ = start(spec, frames, stop_after=10)

    outcome, events = start(spec, frames, snapshot=stopped.snapshot)

    assert same_state(outcome.state, expected.state)
    assert events == all_events[events[0].ordinal :]


def test_a_stop_before_the_start_does_nothing(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    events: list[Event] = []
    before = fitted.state()

    outcome = run(gradient_spec(), frames, fitted, events.append, StopAfter(events, 0))

    assert [event.message for event in events] == ["Training run was cancelled; not starting this trainer phase"]
    assert same_state(outcome.state, before)


def test_a_run_leaves_the_random_state_of_the_process_alone(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    before = torch.get_rng_state()

    run(gradient_spec(), frames, fitted, lambda event: None)

    assert torch.get_rng_state().equal(before)


def test_a_snapshot_of_another_configuration_is_refused(frames: Frames, gradient_spec: Callable[..., RunSpec]) -> None:
    snapshots = SnapshotList()
    start(gradient_spec(), frames, checkpointer=snapshots)

    with pytest.raises(Precondition, match="another configuration"):
        start(gradient_spec(seed=1), frames, snapshot=snapshots.kept[0][0])


def test_bytes_that_are_no_snapshot_are_refused(frames: Frames, gradient_spec: Callable[..., RunSpec]) -> None:
    with pytest.raises(WeightsInvalid, match="cannot be read"):
        start(gradient_spec(), frames, snapshot=b"none")
