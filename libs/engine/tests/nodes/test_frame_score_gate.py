"""A gate that blanks frames, by hand."""

import logging

import pytest
import torch

from swath.engine.nodes.deciders.frame_score_gate import FrameScoreGate
from swath.errors import InputInvalid


def _frames(*rows):
    return torch.tensor(rows).reshape(len(rows), 1, -1, 1)


def _rows(tensor):
    return tensor.flatten(1).tolist()


@pytest.fixture
def maps():
    return _frames([1.0, 3.0], [4.0, 8.0])


def test_frames_that_raise_no_alarm_are_blank(maps):
    outputs = FrameScoreGate(threshold=3.0).forward(scores=maps)
    assert _rows(outputs["scores"]) == [[0.0, 0.0], [4.0, 8.0]]
    assert outputs["frame_score"].tolist() == [3.0, 8.0]
    assert outputs["passed"].tolist() == [0, 1]
    assert _rows(outputs["decisions"]) == [[False, False], [True, True]]


def test_the_score_is_a_mean_of_the_highest(maps):
    assert FrameScoreGate(0.0, topk_frac=1.0).forward(scores=maps)["frame_score"].tolist() == [2.0, 6.0]


def test_masks_and_their_cores(maps):
    outputs = FrameScoreGate(0.0, mode="mask", mask_threshold=2.0, core_ratio=2.0).forward(scores=maps)
    assert _rows(outputs["scores"]) == [[0.0, 1.0], [1.0, 1.0]]
    assert _rows(outputs["core"]) == [[False, False], [False, True]]


def test_another_map_can_raise_the_alarm(maps):
    outputs = FrameScoreGate(0.0).forward(scores=maps, alarm_scores=_frames([1.0], [-1.0]))
    assert _rows(outputs["scores"]) == [[1.0, 3.0], [0.0, 0.0]]
    with pytest.raises(InputInvalid, match="2 frames"):
        FrameScoreGate(0.0).forward(scores=maps, alarm_scores=maps[:1])


def test_invalid_pixels_stay_invalid_where_a_frame_is_blanked():
    maps = _frames([torch.inf, torch.nan, 5.0])
    outputs = FrameScoreGate(0.0).forward(scores=maps, alarm_scores=_frames([-1.0]))
    assert outputs["scores"].flatten().isnan().tolist() == [True, True, False]
    assert outputs["scores"][0, 0, 2] == 0


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1, 1, 1], [2, 3]])
def test_the_gate_looks_at_a_median_however_frames_come(sizes):
    scores = _frames([1.0], [9.0], [1.0], [8.0], [7.0])
    node = FrameScoreGate(5.0, smooth_k=3)
    passed = torch.cat([node.forward(scores=part)["passed"] for part in scores.split(sizes)])
    # Medians, the upper one of two: 1, 9, 1, 8, 7.
    assert passed.tolist() == [0, 1, 0, 1, 1]


def test_a_score_that_is_no_number_is_left_out_of_the_median():
    node = FrameScoreGate(5.0, smooth_k=3)
    assert node.forward(scores=_frames([9.0], [torch.nan], [9.0]))["passed"].tolist() == [1, 1, 1]


def test_a_gate_can_forget():
    node = FrameScoreGate(5.0, smooth_k=3)
    first = node.forward(scores=_frames([9.0], [1.0]))["passed"]
    node.forget()
    assert torch.equal(node.forward(scores=_frames([9.0], [1.0]))["passed"], first)
    assert node.stateful
    assert not FrameScoreGate(5.0).stateful


def test_scores_can_be_logged(maps, caplog):
    with caplog.at_level(logging.INFO, logger="swath.engine"):
        FrameScoreGate(3.0, log_scores=True).forward(scores=maps)
    assert [record.getMessage() for record in caplog.records] == [
        "FrameScoreGate: frame score 3.0000 (median 3.0000), threshold 3.0000, highest value 3.0000",
        "FrameScoreGate: frame score 8.0000 (median 8.0000), threshold 3.0000, highest value 8.0000",
    ]


def test_an_open_gate_is_differentiable():
    maps = torch.tensor([0.5, 2.0, 3.0]).reshape(1, 1, 3, 1).double().requires_grad_()
    node = FrameScoreGate(1.0, topk_frac=0.5)
    assert torch.autograd.gradcheck(lambda scores: node.forward(scores=scores)["scores"], maps)


@pytest.mark.parametrize(
    "hparams",
    [
        {"threshold": float("nan")},
        {"threshold": 0, "topk_frac": 0},
        {"threshold": 0, "mode": "picture"},
        {"threshold": 0, "smooth_k": 0},
        {"threshold": 0, "core_ratio": 0.5},
        {"threshold": 0, "mask_threshold": -1, "core_ratio": 2},
    ],
)
def test_arguments_are_checked(hparams):
    with pytest.raises(ValueError, match=list(hparams)[-1]):
        FrameScoreGate(**hparams)
