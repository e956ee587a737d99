"""Metrics by counting."""

import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.metrics import AnomalyDetectionMetrics
from swath.errors import InputInvalid

VAL = Context(Stage.VAL)


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


def test_what_is_not_defined_is_zero():
    node = AnomalyDetectionMetrics()
    node.forward(context=VAL, decisions=_mask([0]), targets=_mask([0]), logits=torch.zeros(1, 1, 1, 1))
    assert set(node.compute().values()) == {0.0}


def test_average_precision_of_a_known_ranking():
    # Ranked anomalous, normal, anomalous: precision 1 at recall 1/2, then 2/3 at recall 1.
    node = AnomalyDetectionMetrics()
    logits = torch.tensor([2.0, 1.0, 0.0, -3.0]).reshape(1, 1, 4, 1)
    node.forward(context=VAL, targets=_mask([1, 0, 1, 0]), logits=logits)
    assert node.compute() == {"average_precision": pytest.approx(0.5 * 1 + 0.5 * 2 / 3)}


def test_average_precision_by_its_definition_over_bins():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, 6, 1, generator=generator)
    targets = logits + torch.randn(logits.shape, generator=generator) > 1
    node = AnomalyDetectionMetrics(ap_thresholds=20)
    for frame, target in zip(logits.split(1), targets.split(1), strict=True):
        node.forward(context=VAL, targets=target, logits=frame)
    expected, former = 0.0, 0.0
    for threshold in torch.linspace(0, 1, 20).flip(0):
        marked = torch.sigmoid(logits) >= threshold
        hits = (marked & targets).sum().item()
        recall = hits / targets.sum().item()
        expected += (recall - former) * hits / max(marked.sum().item(), 1)
        former = recall
    assert node.compute()["average_precision"] == pytest.approx(expected)


def test_a_stride_thins_pixels_but_no_frames():
    node = AnomalyDetectionMetrics(pixel_stride=2)
    decisions = torch.zeros(1, 4, 4, 1, dtype=torch.bool)
    decisions[0, 1, 1] = True
    node.forward(context=VAL, decisions=decisions, targets=decisions)
    assert (node.compute()["recall"], node.compute()["image_recall"]) == (0.0, 1.0)


def test_shapes_must_agree():
    with pytest.raises(InputInvalid, match="shape of the targets"):
        AnomalyDetectionMetrics().forward(context=VAL, decisions=_mask([1, 0]), targets=_mask([1]))
