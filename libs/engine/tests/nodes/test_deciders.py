"""Thresholds, and where calibration puts them."""

import itertools

import numpy as np
import pytest
import torch

from swath.engine.nodes.deciders.binary_decider import BinaryDecider, QuantileBinaryDecider, ScoreThreshold
from swath.engine.nodes.deciders.multi_range_decider import MultiRangeSlicer
from swath.errors import DataInvalid, InputInvalid


def _frames(*rows):
    return torch.tensor(rows).reshape(len(rows), 1, -1, 1)


def _f1(decided, mask):
    hits = (decided & mask).sum().item()
    return 2 * hits / (decided.sum() + mask.sum()).item()


def test_a_decider_compares_probabilities():
    logits = _frames([-1.0, 0.0, 1.0])
    assert BinaryDecider(0.5).forward(logits=logits)["decisions"].flatten().tolist() == [False, True, True]


@pytest.mark.parametrize("decider", [BinaryDecider(), QuantileBinaryDecider()])
def test_deciders_take_one_channel(decider):
    with pytest.raises(InputInvalid, match="one channel"):
        decider.forward(logits=torch.zeros(1, 2, 2, 3))


def test_calibration_puts_the_threshold_in_the_middle_of_the_gap():
    decider = BinaryDecider()
    scores, mask = _frames([-3.0, -1.0, 1.0, 2.0]), _frames([False, False, True, True])
    metrics = decider.calibrate([scores], [mask])
    expected = (torch.sigmoid(torch.tensor(1.0)) + torch.sigmoid(torch.tensor(-1.0))) / 2
    assert decider.hparams["threshold"] == pytest.approx(expected.item())
    assert metrics == {"precision": 1.0, "recall": 1.0, "f1_score": 1.0, "iou": 1.0}


def test_of_equal_optima_the_highest_threshold_is_taken():
    # Marking one of the two anomalies gives F1 2/3, and so does marking all four pixels.
    decider = BinaryDecider()
    decider.calibrate([_frames([4.0, 1.0, 2.0, 3.0])], [_frames([True, True, False, False])])
    assert decider.hparams["threshold"] > torch.sigmoid(torch.tensor(3.0))


def test_saturated_probabilities_still_find_a_reachable_threshold():
    decider = BinaryDecider()
    scores, mask = _frames([90.0, 80.0, 1.0]), _frames([True, True, False])
    decider.calibrate([scores], [mask])
    assert _f1(decider.forward(logits=scores)["decisions"], mask) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_beats_the_calibrated_one(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, 4, 5, 1, generator=generator).mul(2).round() / 2  # many ties
    mask = torch.rand(3, 4, 5, 1, generator=generator) < 0.3
    decider = BinaryDecider()
    metrics = decider.calibrate([scores[:2], scores[2:]], [mask[:2], mask[2:].squeeze(-1)])
    values = torch.sigmoid(scores)
    best = max(_f1(values >= threshold, mask) for threshold in values.unique())
    assert metrics["f1_score"] == pytest.approx(best)
    assert _f1(decider.forward(logits=scores)["decisions"], mask) == pytest.approx(best)


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.5, 0.995, 1.0])
def test_a_quantile_is_taken_of_each_image(quantile):
    scores = torch.randn(2, 5, 7, 1)
    thresholds = torch.quantile(scores.flatten(1), quantile, dim=1).reshape(2, 1, 1, 1)
    decided = QuantileBinaryDecider(quantile).forward(logits=scores)["decisions"]
    assert torch.equal(decided, scores >= thresholds)


def test_a_quantile_over_some_dimensions():
    scores = torch.randn(2, 5, 7, 1)
    thresholds = torch.quantile(scores, 0.5, dim=2, keepdim=True)
    decided = QuantileBinaryDecider(0.5, reduce_dims=[-2]).forward(logits=scores)["decisions"]
    assert torch.equal(decided, scores >= thresholds)


def test_scores_of_invalid_pixels_do_not_enter_the_quantile():
    scores = _frames([1.0, torch.nan, 3.0, torch.inf, 2.0, torch.nan])
    decided = QuantileBinaryDecider(0.5).forward(logits=scores)["decisions"]
    assert decided.flatten().tolist() == [False, False, True, False, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_no_quantile_beats_the_calibrated_one(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, 4, 5, 1, generator=generator).mul(4).round() / 4
    mask = torch.rand(3, 4, 5, 1, generator=generator) < 0.2
    decider = QuantileBinaryDecider()
    metrics = decider.calibrate([scores], [mask])
    tried = (QuantileBinaryDecider(float(q)).forward(logits=scores)["decisions"] for q in np.linspace(0, 1, 400))
    best = max(_f1(decided, mask) for decided in tried)
    assert metrics["f1_score"] == pytest.approx(best)
    assert _f1(decider.forward(logits=scores)["decisions"], mask) == pytest.approx(best)


def test_frames_of_several_sizes_share_a_quantile():
    small, large = _frames([0.0, 1.0, 2.0, 9.0]), _frames([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 9.0])
    decider = QuantileBinaryDecider()
    metrics = decider.calibrate([small, large], [small > 7, large > 7])
    assert metrics["f1_score"] == 1.0
    assert all(torch.equal(decider.forward(logits=frame)["decisions"], frame > 7) for frame in (small, large))


def test_a_quantile_of_part_of_an_image_is_not_calibrated():
    with pytest.raises(DataInvalid, match="whole images"):
        QuantileBinaryDecider(reduce_dims=[1]).calibrate([_frames([1.0, 2.0])], [_frames([False, True])])


@pytest.mark.parametrize("decider", [BinaryDecider, QuantileBinaryDecider])
def test_scores_of_invalid_pixels_take_no_part_in_a_calibration(decider):
    scores, mask = [1.0, 2.0, 5.0, 6.0], [False, False, True, True]
    clean, spoilt = decider(), decider()
    expected = clean.calibrate([_frames(scores)], [_frames(mask)])
    found = spoilt.calibrate([_frames([*scores, torch.nan, torch.inf])], [_frames([*mask, True, False])])
    assert found == expected
    assert spoilt.hparams == clean.hparams


@pytest.mark.parametrize(
    ("scores", "mask", "words"),
    [
        (_frames([1.0, 2.0]), _frames([False, False]), "single class"),
        (_frames([1.0, 2.0]), _frames([True, True]), "single class"),
        (_frames([1.0, torch.nan]), _frames([True, False]), "single class"),
        (_frames([torch.inf, torch.nan]), _frames([True, False]), "finite"),
        (_frames([1.0, 2.0]), _frames([True]), "same frames"),
    ],
)
def test_calibration_needs_labels_of_both_kinds(scores, mask, words):
    for decider in (BinaryDecider(), QuantileBinaryDecider()):
        with pytest.raises(DataInvalid, match=words):
            decider.calibrate([scores], [mask])
        assert decider.state() == {}


@pytest.mark.parametrize(
    ("keep", "expected"), [("below", [True, True, False, False]), ("above", [False, False, True, False])]
)
def test_a_score_threshold_keeps_one_side_and_no_nan(keep, expected):
    scores = _frames([0.1, 0.5, 0.9, torch.nan])
    assert ScoreThreshold(0.5, keep=keep).forward(scores=scores)["decisions"].flatten().tolist() == expected


def test_a_threshold_can_come_with_the_call():
    outputs = ScoreThreshold(0.5).forward(scores=_frames([0.1, 0.3]), threshold=torch.tensor([0.2]))
    assert outputs["decisions"].flatten().tolist() == [True, False]


@pytest.mark.parametrize("value", [-1.0, torch.nan, torch.inf])
def test_a_threshold_of_a_call_is_a_finite_number(value):
    with pytest.raises(InputInvalid, match="finite"):
        ScoreThreshold().forward(scores=_frames([0.1]), threshold=torch.tensor([value]))


def test_the_calibrated_optimum_is_that_of_all_subsets_that_a_threshold_marks():
    scores, mask = _frames([0.1, 0.4, 0.35, 0.8]), _frames([False, True, False, True])
    metrics = BinaryDecider().calibrate([scores], [mask])
    cuts = [scores >= cut for cut in scores.flatten()]
    assert metrics["f1_score"] == max(_f1(cut, mask) for cut in itertools.chain(cuts, [scores > 1]))


@pytest.mark.parametrize(("right", "expected"), [(False, [0, 0, 1, 2, 0]), (True, [0, 1, 1, 2, 0])])
def test_scores_fall_into_ranges(right, expected):
    scores = _frames([-1.0, 0.5, 0.7, 3.0, torch.nan])
    ranges = MultiRangeSlicer(edges=[0.5, 2.0], right=right).forward(scores=scores)["class_mask"]
    assert ranges.dtype == torch.int32
    assert ranges.flatten().tolist() == expected


def test_ranges_are_those_of_numpy():
    scores = torch.rand(2, 5, 4, 1)
    expected = np.digitize(scores.squeeze(-1).numpy(), [0.25, 0.5, 0.75], right=True)
    assert MultiRangeSlicer().forward(scores=scores)["class_mask"].tolist() == expected.tolist()


@pytest.mark.parametrize("edges", [[1.0, 1.0], [2.0, 1.0], [float("nan")]])
def test_edges_rise(edges):
    with pytest.raises(ValueError, match="edges"):
        MultiRangeSlicer(edges=edges)
