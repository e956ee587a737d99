"""What is refused before a run begins, and how failures are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import Event, RunSpec, Trainer, run
from swath.errors import DataInvalid, DependencyMissing, InvalidInput, NotFitted, OutOfMemory

from .conftest import Frames, make_run, make_training


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"precision": "64-true"}, "precision '64-true' is not supported"),
        ({"precision": "7"}, "precision '7' is not one of"),
        ({"accelerator": "tpu"}, "accelerator 'tpu' is not one of"),
        ({"devices": "first"}, "devices 'first' is neither a count"),
        ({"optimizer": {"name": "lion"}}, "Unsupported optimizer"),
        ({"scheduler": {"name": "linear"}}, "Unsupported scheduler"),
        ({"scheduler": {"name": "cosine", "warmup_epochs": 2}}, "must be smaller than max_epochs"),
        ({"limit_train_batches": 0}, "leaves no batch to train"),
        ({"limit_train_batches": 0.1}, "leaves no batch to train"),
        ({"limit_val_batches": 0.1}, "leaves no batch to validate"),
        ({"val_check_interval": 0}, "at least 1 batch"),
        ({"val_check_interval": 5}, "more than the 4 batches"),
        ({"val_check_interval": 1.5}, "more than an epoch"),
        ({"callbacks": {"early_stopping": [{"monitor": "val/iou"}]}}, "early_stopping: monitor 'val/iou'"),
        ({"callbacks": {"checkpoint": {"monitor": "iou"}}}, "checkpoint: monitor 'iou'"),
        (
            {"callbacks": {"checkpoint": {"monitor": "metrics/f1"}}},
            "monitor 'metrics/f1' is not a value of this run; there are metrics/average_precision, metrics/f1_score, ",
        ),
        ({"callbacks": {"early_stopping": [{"monitor": "decider/iou"}]}}, "monitor 'decider/iou' .*train_loss, val/"),
        ({"callbacks": {"early_stopping": [{"monitor": "train/svdd_loss_x"}]}}, "monitor 'train/svdd_loss_x'"),
        ({"callbacks": {"early_stopping": [{"monitor": "lr-AdamW"}]}}, "monitor 'lr-AdamW'"),
        ({"callbacks": {"checkpoint": {"filename": "{epoch}-{val_los:.2f}"}}}, "filename names 'val_los' .*val_loss"),
        (
            {"limit_val_batches": 0, "callbacks": {"checkpoint": {"monitor": "metrics/iou"}}},
            "'metrics/iou' .* there are train/svdd_loss, train_loss; without validation there are none of val",
        ),
        ({"scheduler": {"name": "plateau", "monitor": "iou"}}, "scheduler: monitor 'iou'"),
        ({"callbacks": {"checkpoint": {"every_n_epochs": 1, "every_n_train_steps": 1}}}, "exclude each other"),
    ],
)
def test_settings_that_cannot_be(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        gradient_spec(**fields).check(fitted, frames)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"loss_nodes": []}, "at least one loss node"),
        ({"loss_nodes": ["nope"]}, "Loss node 'nope' not found in pipeline. Available nodes: bce, center"),
        ({"metric_nodes": ["nope"]}, "Metric node 'nope' not found"),
        (
            {"metric_nodes": ["decider"]},
            r"'decider' \(BinaryDecider\) measures nothing; .*: center, metrics",
        ),
        ({"freeze_nodes": ["nope"]}, "Freeze node 'nope' not found"),
        ({"unfreeze_nodes": ["nope"]}, "Unfreeze node 'nope' not found"),
        ({"loss_nodes": ["metrics"]}, "metrics does not run in training"),
        ({"loss_nodes": ["scores"]}, "does not give scalar losses"),
        ({"freeze_nodes": ["zscore"], "unfreeze_nodes": ["zscore"]}, "in unfreeze_nodes and in freeze_nodes"),
        ({"freeze_nodes": ["projection", "svdd_loss"]}, "No trainable parameters found"),
    ],
)
def test_nodes_that_cannot_be(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec], nodes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        gradient_spec(nodes).check(fitted, frames)


@pytest.mark.parametrize(
    ("without", "name"), [("metrics.decisions", "iou"), ("metrics.logits", "average_precision"), (None, None)]
)
def test_a_metric_whose_input_is_not_connected_cannot_be_watched(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec], without: str | None, name: str | None
) -> None:
    edges = [edge for edge in fitted.edges if f"{edge.target}.{edge.input}" != without]
    pipeline = Pipeline(fitted.nodes, edges)
    for metric in ("iou", "average_precision"):
        spec = gradient_spec(callbacks={"checkpoint": {"monitor": f"metrics/{metric}", "mode": "max"}})
        if metric == name:
            with pytest.raises(InvalidInput, match=f"monitor 'metrics/{metric}' is not a value of this run"):
                spec.check(pipeline, frames)
        else:
            spec.check(pipeline, frames)


def test_a_metric_that_the_ground_truth_does_not_define_cannot_choose_the_best(
    fitted: Pipeline, gradient_spec: Callable[..., RunSpec]
) -> None:
    spec = gradient_spec(callbacks={"checkpoint": {"monitor": "metrics/average_precision", "mode": "max"}})
    with pytest.raises(InvalidInput, match="as where no pixel of the val split is anomalous"):
        run(spec, Frames({"train": 2, "val": 2}, anomalous=False), fitted, lambda event: None)


@pytest.mark.parametrize("fields", [{"devices": 99_999}, {"devices": "99999,"}])
def test_devices_that_this_machine_lacks(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec], fields: dict[str, Any]
) -> None:
    with pytest.raises(DependencyMissing, match=r"this machine has [0-9]+ of that kind"):
        gradient_spec(**fields).check(fitted, frames)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_an_accelerator_that_this_machine_lacks(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    with pytest.raises(DependencyMissing, match="no CUDA device"):
        gradient_spec(accelerator="gpu").check(fitted, frames)


def test_gradient_training_needs_a_training_configuration(fitted: Pipeline, frames: Frames) -> None:
    with pytest.raises(InvalidInput, match="requires a training config"):
        RunSpec(Trainer.GRADIENT, make_run()).check(fitted, frames)


@pytest.mark.parametrize("trainer", [Trainer.STATISTICAL, Trainer.GRADIENT])
def test_training_needs_a_train_split(fitted: Pipeline, trainer: Trainer) -> None:
    with pytest.raises(DataInvalid, match="needs a train split; the data has: val"):
        RunSpec(trainer, make_run(), make_training()).check(fitted, Frames({"val": 2}))


def test_gradient_training_needs_the_statistics(
    pipeline: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    with pytest.raises(NotFitted, match="Nodes zscore, center need a statistical fit"):
        gradient_spec().check(pipeline, frames)


def test_a_calibration_needs_weights(pipeline: Pipeline, fitted: Pipeline, frames: Frames) -> None:
    with pytest.raises(NotFitted, match="holds no trained weights"):
        RunSpec(Trainer.CALIBRATION, make_run(), has_weights=False).check(fitted, frames)


def test_a_calibration_needs_the_statistics(pipeline: Pipeline, frames: Frames) -> None:
    with pytest.raises(NotFitted, match="zscore, center need a statistical fit before a calibration"):
        RunSpec(Trainer.CALIBRATION, make_run()).check(pipeline, frames)


def test_required_decisions_need_a_threshold(
    fitted: Pipeline, frames: Frames, gradient_spec: Callable[..., RunSpec]
) -> None:
    fitted.nodes["decider"].hparams["threshold"] = None
    metrics = fitted.nodes["metrics"]
    required = {**metrics.inputs, "decisions": replace(metrics.inputs["decisions"], optional=False)}
    object.__setattr__(metrics, "inputs", required)

    with pytest.raises(InvalidInput, match="metrics reads decisions from decider, whose thresholds are not calibrated"):
        gradient_spec().check(fitted, frames)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (ValueError("a bad value"), InvalidInput, "a bad value"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), OutOfMemory, "lower data.batch_size or the tile size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), OutOfMemory, "lower data.batch_size"),
        (MemoryError(), OutOfMemory, "lower data.batch_size"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
    ],
)
def test_failures_are_told_by_kind(
    fitted: Pipeline,
    frames: Frames,
    gradient_spec: Callable[..., RunSpec],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: type[Exception],
    words: str,
) -> None:
    def fail(inputs: dict[str, Any], context: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(fitted.nodes["projection"], "run", fail)
    events: list[Event] = []

    with pytest.raises(expected, match=words):
        run(gradient_spec(), frames, fitted, events.append)
