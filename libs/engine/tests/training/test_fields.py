"""Every field of a training document changes what a run does."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.engine.graph import weights
from swath.engine.graph.pipeline import State
from swath.engine.training import Event, Outcome, RunSpec, run
from swath.errors import InvalidInput

from .conftest import Frames, fit, make_pipeline, same_state, short

Run = Callable[..., tuple[Outcome, list[Event]]]


@pytest.fixture
def train(frames: Frames, gradient_spec: Callable[..., RunSpec]) -> Run:
    """Trains a fresh pipeline with the given fields, for one epoch unless told otherwise."""

    def go(nodes: dict[str, Any] | None = None, **fields: Any) -> tuple[Outcome, list[Event]]:
        pipeline = make_pipeline()
        fit(pipeline, frames)
        events: list[Event] = []
        return run(gradient_spec(nodes, **{"max_epochs": 1, **fields}), frames, pipeline, events.append), events

    return go


def count(events: list[Event], moment: str) -> int:
    return [short(event) for event in events].count(moment)


def last(events: list[Event], moment: str) -> Event:
    return [event for event in events if short(event) == moment][-1]


def checkpoint_metrics(events: list[Event]) -> str:
    restored = last(events, "checkpoint_restored").event
    assert restored is not None
    assert restored.checkpoint is not None
    return restored.checkpoint.reason or Path(restored.checkpoint.path).name


def weight(state: State) -> torch.Tensor:
    return state["projection"]["net.fc1.weight"]


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 1},
        {"optimizer": {"name": "adamw", "lr": 0.02}},
        {"optimizer": {"name": "adam", "lr": 0.01, "weight_decay": 0.5}},
        {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.5}},
        {"optimizer": {"name": "adamw", "lr": 0.01, "betas": [0.1, 0.2]}},
        {"optimizer": {"name": "sgd", "lr": 0.01}},
        {"optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.1}},
        {"max_epochs": 2},
        {"accumulate_grad_batches": 2},
        {"limit_train_batches": 2},
        {"limit_train_batches": 0.5},
        {"precision": "bf16-mixed"},
        {"gradient_clip_val": 1e-9, "optimizer": {"name": "sgd", "lr": 0.01}},
    ],
)
def test_fields_that_change_the_weights(train: Run, fields: dict[str, Any]) -> None:
    plain, _ = train()
    again, _ = train()
    changed, _ = train(**fields)

    assert same_state(plain.state, again.state)
    assert not weight(plain.state).equal(weight(changed.state))


@pytest.mark.parametrize(
    "fields",
    [
        {"precision": 32},
        {"devices": 1},
        {"devices": "auto"},
        {"devices": "0,"},
        {"accelerator": "cpu"},
        {"gradient_clip_val": 1e9},
        {"deterministic": True},
        {"benchmark": True},
        {"limit_train_batches": 1.0},
        {"scheduler": {"name": "none"}},
        {"num_sanity_val_steps": 1},
        {"release_cuda_cache_on_validation": True},
    ],
)
def test_fields_that_must_not_change_the_weights(train: Run, fields: dict[str, Any]) -> None:
    assert same_state(train()[0].state, train(**fields)[0].state)


def test_precision_16_mixed_trains_in_bfloat16_on_a_cpu(train: Run) -> None:
    assert same_state(train(precision="16-mixed")[0].state, train(precision="bf16-mixed")[0].state)


def test_clipping_bounds_the_step(train: Run, frames: Frames) -> None:
    fresh = make_pipeline()
    fit(fresh, frames)
    outcome, _ = train(gradient_clip_val=0.001, optimizer={"name": "sgd", "lr": 1.0, "momentum": 0.0})

    moved = sum(
        float((outcome.state[name][key] - value).square().sum())
        for name, entry in fresh.state().items()
        for key, value in entry.items()
        if name in ("projection", "svdd_loss")
    )
    assert 0 < math.sqrt(moved) <= 4 * 0.001 * 1.01


@pytest.mark.parametrize(("every", "steps"), [(1, 4), (2, 2), (3, 2), (9, 1)])
def test_accumulation_makes_fewer_steps_and_the_last_batch_makes_one(train: Run, every: int, steps: int) -> None:
    _, events = train(accumulate_grad_batches=every)

    assert last(events, "complete").context.global_step == steps


def test_accumulated_batches_weigh_as_one(train: Run) -> None:
    small, _ = train(accumulate_grad_batches=4, optimizer={"name": "sgd", "lr": 0.01}, limit_train_batches=1)
    full, _ = train(optimizer={"name": "sgd", "lr": 0.0025}, limit_train_batches=1)

    assert weight(small.state).allclose(weight(full.state))


@pytest.mark.parametrize(
    ("fields", "validations"),
    [
        ({}, 2),
        ({"check_val_every_n_epoch": 2}, 1),
        ({"val_check_interval": 0.5}, 4),
        ({"val_check_interval": 1}, 8),
        ({"val_check_interval": 3}, 2),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, 2),
        ({"val_check_interval": 8, "check_val_every_n_epoch": None}, 1),
        ({"limit_val_batches": 0}, 0),
    ],
)
def test_when_validation_happens(train: Run, fields: dict[str, Any], validations: int) -> None:
    _, events = train(max_epochs=2, **fields)

    assert count(events, "validation_end:val") == validations


@pytest.mark.parametrize(("limit", "batches"), [(1, 1), (2, 2), (0.4, 1), (1.0, 3), (None, 3), (99, 3)])
def test_limit_of_validation_batches(train: Run, limit: float | None, batches: int) -> None:
    _, events = train(limit_val_batches=limit)

    assert count(events, "validation_progress:val") == batches


@pytest.mark.parametrize(
    ("interval", "expected"),
    [("epoch", [0.01, 0.01, 0.001, 0.001]), ("step", [0.01, 0.01, 0.001, 0.001]), (None, [0.01, 0.01, 0.001, 0.001])],
)
def test_learning_rates_are_reported(train: Run, interval: str | None, expected: list[float]) -> None:
    monitor = {"logging_interval": interval, "log_momentum": True, "log_weight_decay": True}
    _, events = train(
        max_epochs=2,
        limit_train_batches=2,
        log_every_n_steps=1,
        scheduler={"name": "step"},
        callbacks={"learning_rate_monitor": monitor},
    )

    steps = [event for event in events if short(event) == "train_progress"]
    assert [event.metrics["lr-AdamW"] for event in steps] == pytest.approx(expected)
    assert {"lr-AdamW-momentum", "lr-AdamW-weight_decay"} <= set(steps[0].metrics)


def test_step_values_are_reported_every_so_many_steps(train: Run) -> None:
    _, events = train(
        max_epochs=2,
        log_every_n_steps=100,
        scheduler={"name": "step"},
        callbacks={"learning_rate_monitor": {"logging_interval": "step"}},
    )

    assert last(events, "epoch_end").metrics["lr-AdamW"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("fields", "lines"), [({}, 2), ({"log_every_n_steps": 4}, 1), ({"enable_progress_bar": False}, 0)]
)
def test_progress_goes_to_the_log(
    train: Run, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], lines: int
) -> None:
    with caplog.at_level("INFO", "swath.engine.training.reporting.reports"):
        train(**{"log_every_n_steps": 2, **fields})

    assert len([record for record in caplog.records if "step" in record.getMessage()]) == lines


def test_early_stopping_ends_the_fit(train: Run) -> None:
    stopping = [{"monitor": "val_loss", "stopping_threshold": 1e9}]
    _, events = train(max_epochs=5, callbacks={"early_stopping": stopping})

    end = last(events, "fit_end").event
    assert end is not None
    assert end.epochs is not None
    assert (end.epochs.current, end.epochs.total) == (1, 5)
    assert last(events, "complete").context.epoch == 5


def test_early_stopping_at_validation_ends_within_an_epoch(train: Run) -> None:
    stopping = [{"monitor": "val_loss", "stopping_threshold": 1e9}]
    _, events = train(val_check_interval=0.5, callbacks={"early_stopping": stopping})

    assert count(events, "train_progress") == 2


def test_a_stopper_may_watch_what_only_a_later_validation_brings(train: Run) -> None:
    stopping = [{"monitor": "metrics/iou", "mode": "max", "check_on_train_epoch_end": True}]
    _, events = train(max_epochs=3, check_val_every_n_epoch=2, callbacks={"early_stopping": stopping})

    assert count(events, "epoch_end") == 3


def test_the_best_checkpoint_comes_back(train: Run, tmp_path: Path) -> None:
    document = {"monitor": "train_loss", "dirpath": "mine", "filename": "{epoch:02d}", "save_top_k": 1, "mode": "max"}
    outcome, events = train(max_epochs=4, callbacks={"checkpoint": document})

    assert checkpoint_metrics(events) == "epoch=00.ckpt"
    state, metadata = weights.load((tmp_path / "mine" / "epoch=00.ckpt").read_bytes())
    assert metadata == {"epoch": 0, "global_step": 4}
    assert weight(state).equal(weight(outcome.state))
    assert "Best checkpoint restored (epoch 0 train_loss" in last(events, "checkpoint_restored").message


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"enable_checkpointing": True}, "outputs/checkpoints"),
        ({"enable_checkpointing": True, "default_root_dir": "root"}, "root/checkpoints"),
    ],
)
def test_checkpoints_without_a_callback_keep_the_latest(
    train: Run, tmp_path: Path, fields: dict[str, Any], place: str
) -> None:
    _, events = train(max_epochs=2, **fields)

    assert [path.name for path in (tmp_path / place).iterdir()] == ["epoch=1-step=8.ckpt"]
    assert checkpoint_metrics(events) == "epoch=1-step=8.ckpt"


def test_without_checkpoints_the_final_weights_stay(train: Run) -> None:
    assert checkpoint_metrics(train()[1]) == "no checkpoint callback"


def test_frozen_nodes_do_not_change_at_all(train: Run, frames: Frames) -> None:
    fresh = make_pipeline()
    fit(fresh, frames)
    nodes = {"freeze_nodes": ["center", "svdd_loss"]}

    outcome, _ = train(nodes)
    plain, _ = train()

    for name in nodes["freeze_nodes"]:
        assert all(outcome.state[name][key].equal(value) for key, value in fresh.state()[name].items())
        assert not all(plain.state[name][key].equal(value) for key, value in fresh.state()[name].items())


def test_unfrozen_nodes_change(train: Run) -> None:
    plain, _ = train()
    outcome, _ = train({"unfreeze_nodes": ["zscore"]})

    assert not plain.state["zscore"]["zscore_mean"].equal(outcome.state["zscore"]["zscore_mean"])


def test_the_loss_is_the_sum_of_the_loss_nodes(train: Run) -> None:
    nodes = {"loss_nodes": ["svdd_loss", "bce"]}
    _, events = train(nodes, limit_train_batches=1, limit_val_batches=0)

    first = last(events, "train_progress")
    end = last(events, "epoch_end")
    assert first.losses["total"] == pytest.approx(end.losses["train/svdd_loss"] + first.metrics["bce"])
    assert end.losses["train_loss"] == pytest.approx(first.losses["total"])


def test_a_loss_without_gradient_is_refused(train: Run) -> None:
    with pytest.raises(InvalidInput, match="depends on no trainable parameter"):
        train({"loss_nodes": ["bce"], "freeze_nodes": ["projection", "center"]})
