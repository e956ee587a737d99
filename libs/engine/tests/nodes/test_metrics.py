"""Metrics by counting, and against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.metrics import AnomalyDetectionMetrics
from swath.engine.ops.ranking import Ranking
from swath.errors import InputInvalid

VAL = Context(Stage.VAL)

SCORES = {
    "logits": lambda normal: normal,
    "probabilities": lambda normal: 1 / (1 + np.exp(-normal)),
    "all negative": lambda normal: normal - 1e3,
    "huge": lambda normal: 1e37 * normal,
    "tiny": lambda normal: 1e-44 * normal,
    "distances": lambda normal: 1e4 * np.exp(normal),
    "few levels": lambda normal: normal.round(),
    "all equal": lambda normal: 0 * normal + 7,
    "zeros of both signs": lambda normal: np.copysign(0, normal),
}


def _mask(*rows):
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), 1, -1, 1)


def test_pixels_and_frames_are_counted_over_all_batches():
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, decisions=_mask([1, 1, 0, 0]), targets=_mask([1, 0, 0, 0]))
    node.forward(context=VAL, decisions=_mask([0, 0, 0, 0]), targets=_mask([1, 1, 0, 0]))
    assert node.compute() == pytest.approx(
        {
            "precision": 1 / 2,
            "recall": 1 / 3,
            "f1_score": 2 / 5,
            "iou": 1 / 4,
            "image_precision": 1.0,
            "image_recall": 1 / 2,
            "image_f1": 2 / 3,
        }
    )


def test_the_output_holds_the_numbers_so_far():
    node = AnomalyDetectionMetrics()
    outputs = node.forward(context=VAL, decisions=_mask([1, 0]), targets=_mask([1, 0]))
    assert {item.name: item.value for item in outputs["metrics"]} == node.compute()


@pytest.mark.parametrize("later", [Context(Stage.TEST), Context(Stage.VAL, epoch=1)])
def test_a_new_stage_or_epoch_starts_anew(later):
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, decisions=_mask([1, 1]), targets=_mask([0, 0]))
    node.forward(context=later, decisions=_mask([1, 0]), targets=_mask([1, 0]))
    assert node.compute()["precision"] == 1.0


def test_reset_forgets():
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, decisions=_mask([1]), targets=_mask([1]))
    node.reset()
    assert node.compute() == {}


def test_average_precision_of_a_known_ranking():
    # Ranked anomalous, normal, anomalous: precision 1 at recall 1/2, then 2/3 at recall 1.
    node = AnomalyDetectionMetrics()
    logits = torch.tensor([2.0, 1.0, 0.0, -3.0]).reshape(1, 1, 4, 1)
    node.forward(context=VAL, targets=_mask([1, 0, 1, 0]), logits=logits)
    assert node.compute() == {"average_precision": pytest.approx(0.5 * 1 + 0.5 * 2 / 3)}


@pytest.mark.parametrize("batches", [(9,), (1, 1, 1, 1, 1, 1, 1, 1, 1), (5, 1, 3), (1, 7, 1), (2, 0, 7)])
@pytest.mark.parametrize("marked", ["few", "many", "all"])
@pytest.mark.parametrize("kind", SCORES)
def test_numbers_are_those_of_scikit_learn(kind, marked, batches):
    generator = np.random.default_rng(7)
    normal = generator.standard_normal((9, 13, 17, 1))
    targets = {
        "few": normal + generator.standard_normal(normal.shape) > 3,
        "many": normal + generator.standard_normal(normal.shape) > -0.5,
        "all": np.ones(normal.shape, dtype=bool),
    }[marked]
    targets[0] = marked == "all"  # a normal frame
    scores = SCORES[kind](normal).astype(np.float32)
    decisions = normal > 2
    node = AnomalyDetectionMetrics()
    arrays = (decisions, targets, scores)
    for own in np.split(np.arange(9), np.cumsum(batches)[:-1]):
        decided, true, logits = (torch.from_numpy(array[own]) for array in arrays)
        node.forward(context=VAL, decisions=decided, targets=true, logits=logits)
    pixels = targets.ravel(), decisions.ravel()
    frames = targets.any(axis=(1, 2, 3)), decisions.any(axis=(1, 2, 3))
    assert node.compute() == pytest.approx(
        {
            "precision": sklearn.precision_score(*pixels),
            "recall": sklearn.recall_score(*pixels),
            "f1_score": sklearn.f1_score(*pixels),
            "iou": sklearn.jaccard_score(*pixels),
            "image_precision": sklearn.precision_score(*frames),
            "image_recall": sklearn.recall_score(*frames),
            "image_f1": sklearn.f1_score(*frames),
            "average_precision": sklearn.average_precision_score(targets.ravel(), scores.ravel()),
        },
        rel=1e-12,
    )


def test_average_precision_of_half_precision_scores_counts_their_ties():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(3, 20, 20, 1, generator=generator).to(torch.bfloat16)
    targets = scores.float() + torch.randn(scores.shape, generator=generator) > 2
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, targets=targets, logits=scores)
    expected = sklearn.average_precision_score(targets.numpy().ravel(), scores.float().numpy().ravel())
    assert node.compute()["average_precision"] == pytest.approx(expected, rel=1e-12)


def test_average_precision_takes_memory_for_each_value_and_time_for_each_batch():
    ranking = Ranking()
    for _ in range(100):
        ranking.add(torch.zeros(10), torch.tensor([True] + [False] * 9))
    assert ranking.average_precision() == pytest.approx(0.1)
    assert sum(len(part) for part in ranking._others) == 900
    assert len(ranking._others) <= 7


def test_average_precision_has_no_steps_of_thresholds():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 6, 6, 1, generator=generator)
    targets = logits > 1
    nodes = [AnomalyDetectionMetrics(ap_thresholds=count) for count in (2, 200)]
    for node in nodes:
        # The sigmoid of all of these is 1 in float32.
        node.forward(context=VAL, targets=targets, logits=logits + 1000)
    assert [node.compute()["average_precision"] for node in nodes] == [1.0, 1.0]


@pytest.mark.parametrize("hole", [math.nan, math.inf, -math.inf])
def test_pixels_without_a_finite_score_count_for_nothing_and_are_counted(hole):
    generator = np.random.default_rng(3)
    scores = generator.standard_normal((4, 8, 8, 1)).astype(np.float32)
    targets = scores + generator.standard_normal(scores.shape) > 1
    decisions = scores > 0.5
    valid = generator.random(scores.shape) > 0.3
    valid[2], valid[3] = False, True
    # A frame that is anomalous by its invalid pixels alone.
    decisions[3], targets[3], valid[3, 0], targets[3, 0] = False, False, False, True
    node = AnomalyDetectionMetrics()
    spoilt = np.where(valid, scores, np.float32(hole))
    for frame in range(4):
        decided, true, logits = (torch.from_numpy(each[frame : frame + 1]) for each in (decisions, targets, spoilt))
        node.forward(context=VAL, decisions=decided, targets=true, logits=logits)
    pixels = targets[valid], decisions[valid]
    found = node.compute()
    assert found == pytest.approx(
        {
            "precision": sklearn.precision_score(*pixels),
            "recall": sklearn.recall_score(*pixels),
            "f1_score": sklearn.f1_score(*pixels),
            "iou": sklearn.jaccard_score(*pixels),
            "average_precision": sklearn.average_precision_score(targets[valid], scores[valid]),
            "image_precision": 1.0,
            "image_recall": 1.0,
            "image_f1": 1.0,
            "invalid_pixels": float((~valid).sum()),
        }
    )
    assert set(found) == node.metric_names({"decisions", "logits", "targets"})


def test_without_anything_anomalous_nothing_is_defined():
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, decisions=_mask([0, 1]), targets=_mask([0, 0]), logits=torch.zeros(1, 1, 2, 1))
    assert node.compute() == {}
    node.forward(context=VAL, decisions=_mask([0, 0]), targets=_mask([1, 0]), logits=torch.zeros(1, 1, 2, 1))
    assert node.compute() == {
        "precision": 0.0,
        "recall": 0.0,
        "f1_score": 0.0,
        "iou": 0.0,
        "image_precision": 0.0,
        "image_recall": 0.0,
        "image_f1": 0.0,
        "average_precision": 0.25,
    }


def test_names_are_those_of_what_is_connected():
    node = AnomalyDetectionMetrics()
    assert node.metric_names({"targets", "logits"}) == {"average_precision", "invalid_pixels"}
    assert "average_precision" not in node.metric_names({"targets", "decisions"})


def test_a_stride_thins_pixels_but_no_frames():
    node = AnomalyDetectionMetrics(pixel_stride=2)
    decisions = torch.zeros(1, 4, 4, 1, dtype=torch.bool)
    decisions[0, 1, 1] = decisions[0, 2, 2] = True
    node.forward(context=VAL, decisions=decisions & (torch.arange(4) < 2)[:, None], targets=decisions)
    assert (node.compute()["recall"], node.compute()["image_recall"]) == (0.0, 1.0)


def test_shapes_must_agree():
    with pytest.raises(InputInvalid, match="shape of the targets"):
        AnomalyDetectionMetrics().forward(context=VAL, decisions=_mask([1, 0]), targets=_mask([1]))
