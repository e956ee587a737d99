"""Runs on data with invalid pixels, and runs whose loss or state is not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.documents import parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import Event, RunSpec, Trainer, run
from swath.errors import DataInvalid, NotFinite

from .conftest import Frames, fit, make_pipeline, make_run, short

Spec = Callable[..., RunSpec]


def spoil_some(frames: Frames, split: str = "train") -> int:
    """Put a row of NaN, and an infinity, into the first frame of a split; return how many pixels that are."""
    cube, _ = frames._frames[split]
    cube[0, 5] = torch.nan
    cube[0, 0, 0, 1] = -torch.inf
    return 7


def statistical(**changes: Any) -> RunSpec:
    return RunSpec(Trainer.STATISTICAL, make_run(**changes), None)


def messages(events: list[Event], moment: str) -> list[str]:
    return [event.message for event in events if short(event).startswith(moment)]


def test_a_statistical_run_leaves_invalid_pixels_out_and_says_how_many(frames: Frames, pipeline: Pipeline) -> None:
    count = spoil_some(frames)
    events: list[Event] = []

    outcome = run(statistical(), frames, pipeline, events.append)

    cube = frames._frames["train"][0].reshape(-1, 5)
    valid = cube[cube.isfinite().all(dim=1)].double()
    torch.testing.assert_close(outcome.state["zscore"]["zscore_mean"], valid.mean(dim=0).float())
    torch.testing.assert_close(outcome.state["zscore"]["zscore_std"], valid.std(dim=0).float())
    assert len(valid) == 7 * 36 - count
    assert messages(events, "statistical_node_end:zscore") == [
        f"Fitted zscore; {count} invalid pixels (a band is not finite) left out"
    ]
    assert all(f"; {count} invalid pixels" in text for text in messages(events, "statistical_node_end"))
    said = f"Statistical training complete; {count} invalid pixels (a band is not finite) left out"
    assert outcome.message.startswith(said)


def test_a_clean_run_says_nothing_of_invalid_pixels(frames: Frames, pipeline: Pipeline) -> None:
    events: list[Event] = []
    run(statistical(), frames, pipeline, events.append)
    assert messages(events, "statistical_node_end:zscore") == ["Fitted zscore"]


def test_a_fit_without_a_valid_pixel_names_its_node(frames: Frames, pipeline: Pipeline) -> None:
    frames.spoil("train")
    with pytest.raises(DataInvalid, match=r"Node 'zscore' .* got 0; 252 invalid pixels"):
        run(statistical(), frames, pipeline, [].append)


def test_a_gradient_run_trains_on_the_valid_pixels(frames: Frames, fitted: Pipeline, gradient_spec: Spec) -> None:
    count = spoil_some(frames)
    spoil_some(frames, "val")
    events: list[Event] = []

    outcome = run(gradient_spec({"loss_nodes": ["svdd_loss", "bce"]}, max_epochs=2), frames, fitted, events.append)

    assert all(
        value.isfinite().all() for node in outcome.state.values() for key, value in node.items() if key != "fitted"
    )
    assert messages(events, "epoch_end") == [
        f"Gradient training; {count} invalid pixels (a band is not finite) left out of epoch {epoch}"
        for epoch in (1, 2)
    ]


def test_what_invalid_pixels_hold_changes_nothing(frames: Frames, gradient_spec: Spec) -> None:
    states = []
    for value in (torch.nan, torch.inf):
        frames._frames["train"][0][0, 5] = value
        pipeline = make_pipeline()
        fit(pipeline, frames)
        states.append(run(gradient_spec(max_epochs=1), frames, pipeline, [].append).state["projection"])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_without_a_valid_pixel_is_refused(frames: Frames, fitted: Pipeline, gradient_spec: Spec) -> None:
    frames.spoil("train")
    with pytest.raises(DataInvalid, match="No pixel of the train split is valid in epoch 1: each of 252"):
        run(gradient_spec(), frames, fitted, [].append)


def test_a_loss_that_is_not_finite_fails_the_run(
    frames: Frames, fitted: Pipeline, gradient_spec: Spec, tmp_path: Path
) -> None:
    callbacks = {"checkpoint": {"dirpath": "kept", "save_on_exception": True, "every_n_train_steps": 1}}
    frames._frames["train"][0][3] = 1e30  # finite, and too much for a square
    events: list[Event] = []

    words = r"train loss is inf in epoch 1 at step \d \(svdd_loss inf\).*lower training.optimizer.lr"
    with pytest.raises(NotFinite, match=words):
        run(gradient_spec(callbacks=callbacks), frames, fitted, events.append)

    assert "complete" not in map(short, events)
    for path in tmp_path.rglob("*.ckpt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for node in state.values() for value in node.values())


def test_a_validation_loss_that_is_not_finite_fails_the_run(
    frames: Frames, fitted: Pipeline, gradient_spec: Spec
) -> None:
    frames._frames["val"][0][0] = 1e30
    with pytest.raises(NotFinite, match="val loss is inf"):
        run(gradient_spec(), frames, fitted, [].append)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_state_that_is_not_finite_fails_the_run(
    frames: Frames, fitted: Pipeline, gradient_spec: Spec, value: float
) -> None:
    logit: Any = fitted.nodes["logit"]
    logit.bias.fill_(value)  # feeds no loss
    with pytest.raises(NotFinite, match=r"Node 'logit' \(ScoreToLogit\) holds .* at the end of epoch 1: bias"):
        run(gradient_spec(), frames, fitted, [].append)


def test_statistics_that_overflow_fail_the_run(frames: Frames) -> None:
    nodes = [
        {"name": "source", "class_name": "AnomalyDataNode", "hparams": {"normal_class_ids": [0]}},
        {"name": "pca", "class_name": "TrainablePCA", "hparams": {"num_channels": 5, "n_components": 2}},
    ]
    edges = [{"source": "source.outputs.cube", "target": "pca.inputs.data"}]
    pipeline = Pipeline.from_document(parse("pipeline", {"nodes": nodes, "connections": edges}))
    frames._frames["train"][0].mul_(1e30)  # whose variance is beyond float32
    with pytest.raises(NotFinite, match=r"Node 'pca' \(TrainablePCA\) .* after its fit: _explained_variance, _total"):
        run(statistical(loss_nodes=[], metric_nodes=[]), frames, pipeline, [].append)
