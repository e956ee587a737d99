"""A gate for frames, a threshold for pixels, and where calibration puts them."""

import math

import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.deciders.two_stage_decider import TwoStageBinaryDecider
from swath.errors import DataInvalid, InputInvalid


def _frames(*rows):
    return torch.tensor(rows).reshape(len(rows), 1, -1, 1)


SCORES = _frames([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 5.0, 9.0])


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"pixel_threshold": 2.0}, [[0, 0, 1, 1], [0, 0, 1, 1]]),
        ({"pixel_threshold": 2.0, "image_threshold": 4.0}, [[0, 0, 0, 0], [0, 0, 1, 1]]),
        ({"pixel_threshold": 2.0, "image_threshold": 2.0, "top_k_fraction": 1.0}, [[0, 0, 0, 0], [0, 0, 1, 1]]),
        ({"quantile": 1.0}, [[0, 0, 0, 1], [0, 0, 0, 1]]),
        ({"quantile": 0.5}, [[0, 0, 1, 1], [0, 0, 1, 1]]),
    ],
)
def test_frames_pass_and_pixels_are_cut(hparams, expected):
    decisions = TwoStageBinaryDecider(**hparams).forward(logits=SCORES)["decisions"]
    assert decisions.reshape(2, 4).int().tolist() == expected


def test_what_a_control_shows():
    outputs = TwoStageBinaryDecider(image_threshold=4.0, top_k_fraction=0.5).forward(
        logits=_frames([-3.0, -1.0, -2.0, torch.inf], [torch.nan] * 4)
    )
    assert outputs["pixel_threshold_range"].tolist() == [[-3.0, -1.0], [0.0, 0.0]]
    assert outputs["image_threshold_range"].tolist() == [[-1.0, 0.0], [0.0, 0.0]]
    assert outputs["image_threshold_value"].tolist() == [4.0, 4.0]
    assert outputs["image_threshold_score"][0].item() == -1.5  # the mean of the higher two of three valid ones
    assert outputs["image_threshold_score"][1].isnan()


def test_without_a_gate_its_value_is_nan():
    assert TwoStageBinaryDecider().forward(logits=SCORES)["image_threshold_value"].isnan().all()


def test_the_highest_channel_counts():
    logits = torch.tensor([[1.0, 5.0], [2.0, 0.0]]).reshape(1, 1, 2, 2)
    outputs = TwoStageBinaryDecider(pixel_threshold=3.0).forward(logits=logits)
    assert outputs["decisions"].flatten().tolist() == [True, False]


def test_thresholds_can_come_with_the_call():
    outputs = TwoStageBinaryDecider(pixel_threshold=100.0).forward(
        logits=SCORES, image_threshold=torch.tensor([4.0]), pixel_threshold=torch.tensor([5.0])
    )
    assert outputs["decisions"].reshape(2, 4).int().tolist() == [[0, 0, 0, 0], [0, 0, 1, 1]]
    with pytest.raises(InputInvalid, match="finite"):
        TwoStageBinaryDecider().forward(logits=SCORES, pixel_threshold=torch.tensor([torch.nan]))


@pytest.mark.parametrize("stage", [Stage.TRAIN, Stage.VAL, Stage.TEST])
def test_training_and_evaluation_wait_for_thresholds(stage):
    context = Context(stage)
    assert TwoStageBinaryDecider(pixel_threshold=1.0).forward(context=context, logits=SCORES) == {}
    placed = TwoStageBinaryDecider(pixel_threshold=1.0, image_threshold=1.0)
    assert "decisions" in placed.forward(context=context, logits=SCORES)


def test_a_batch_without_frames_gives_none():
    assert TwoStageBinaryDecider().forward(logits=torch.zeros(0, 2, 2, 1))["decisions"].shape == (0, 2, 2, 1)
    with pytest.raises(InputInvalid, match="at least one pixel"):
        TwoStageBinaryDecider().forward(logits=torch.zeros(1, 0, 2, 1))


@pytest.mark.parametrize(
    "hparams",
    [
        {"top_k_fraction": 0.0},
        {"top_k_fraction": 1.5},
        {"quantile": 2.0},
        {"pixel_threshold": math.inf},
        {"image_threshold": "high"},
        {"reduce_dims": [1]},
        {"reduce_dims": [0, 1, 2, 3]},
    ],
)
def test_arguments_are_checked(hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        TwoStageBinaryDecider(**hparams)


@pytest.fixture
def labelled():
    """Frames 0 and 2 have anomalies; frame 1 has one high pixel that is none."""
    scores = _frames([0.0, 1.0, 8.0, 9.0], [0.0, 0.0, 0.0, 6.0], [0.0, 2.0, 1.0, 7.0])
    return scores, scores > 6.5


def test_calibration_places_both_thresholds_in_the_middle_of_their_gaps(labelled):
    decider = TwoStageBinaryDecider()
    metrics = decider.calibrate([labelled[0]], [labelled[1]])
    # Frames score 9, 6 and 7; of the pixels in frames that pass, 2 is the highest normal one.
    assert (decider.hparams["image_threshold"], decider.hparams["pixel_threshold"]) == (6.5, 4.5)
    assert metrics == {"precision": 1.0, "recall": 1.0, "f1_score": 1.0, "iou": 1.0, "image_f1": 1.0}


def _f1(decided, true):
    hits = (decided & true).sum().item()
    return 2 * hits / (decided.sum() + true.sum()).item()


@pytest.mark.parametrize("seed", range(5))
def test_no_pixel_threshold_beats_the_calibrated_one_behind_its_gate(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, 4, 5, 1, generator=generator).mul(3).round() / 3  # many ties
    mask = torch.rand(6, 4, 5, 1, generator=generator) < torch.tensor([0, 0.4, 0, 0.3, 0, 0.2])[:, None, None, None]
    decider = TwoStageBinaryDecider(top_k_fraction=0.1)
    metrics = decider.calibrate(list(scores.split(2)), list(mask.split(2)))
    passed = decider.forward(logits=scores)["image_threshold_score"] >= decider.hparams["image_threshold"]
    gate = passed[:, None, None, None]
    best = max(_f1((scores >= cut) & gate, mask) for cut in scores.unique())
    assert metrics["f1_score"] == pytest.approx(best)
    assert _f1(decider.forward(logits=scores)["decisions"], mask) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(5))
def test_no_gate_beats_the_calibrated_one(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(7, 2, 3, 1, generator=generator)
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask[[1, 3, 4], 0, 0] = True
    decider = TwoStageBinaryDecider()
    metrics = decider.calibrate([scores], [mask])
    tops, labels = scores.flatten(1).amax(1), mask.flatten(1).any(1)
    assert metrics["image_f1"] == pytest.approx(max(_f1(tops >= cut, labels) for cut in tops))


def test_thresholds_travel_with_the_weights(labelled):
    decider, twin = TwoStageBinaryDecider(), TwoStageBinaryDecider()
    assert decider.state() == {}
    decider.calibrate([labelled[0]], [labelled[1]])
    assert twin.faults(decider.state(), strict=True) == []
    twin.restore(decider.state())
    assert twin.hparams == decider.hparams
    assert twin.placed


def test_thresholds_of_weights_must_be_numbers():
    faults = TwoStageBinaryDecider().faults({"pixel_threshold": torch.tensor(torch.nan)}, strict=True)
    assert faults == ["TwoStageBinaryDecider.pixel_threshold is not one finite number"]


@pytest.mark.parametrize("value", [False, True])
def test_calibration_needs_pixels_of_both_kinds(value):
    with pytest.raises(DataInvalid, match="single class"):
        TwoStageBinaryDecider().calibrate([SCORES], [torch.full_like(SCORES, value, dtype=torch.bool)])
