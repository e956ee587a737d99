"""Classes that become anomalies, and decisions that become labels."""

import pytest
import torch

from swath.engine.nodes.conversion import DecisionToMask
from swath.engine.nodes.labels import BinaryAnomalyLabelMapper
from swath.errors import InputInvalid

CLASSES = torch.tensor([0, 1, 2, 3], dtype=torch.int32).reshape(1, 2, 2, 1)


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"normal_class_ids": [0, 2]}, [0, 1, 0, 1]),
        ({"normal_class_ids": [0], "anomaly_class_ids": [3]}, [0, 0, 0, 1]),
        ({"normal_class_ids": [0], "anomaly_class_ids": []}, [0, 0, 0, 0]),
    ],
)
def test_classes_are_normal_or_anomalous(hparams, expected):
    cube = torch.rand(1, 2, 2, 3)
    outputs = BinaryAnomalyLabelMapper(**hparams).forward(cube=cube, mask=CLASSES)
    assert outputs["cube"] is cube
    assert outputs["mask"].flatten().int().tolist() == expected


def test_a_class_is_not_both():
    with pytest.raises(ValueError, match=r"\[1\] are both"):
        BinaryAnomalyLabelMapper([0, 1], [1, 2])


def test_labels_stay_where_the_decision_is_true():
    decisions = torch.tensor([True, False, True, True]).reshape(1, 2, 2, 1)
    mask = DecisionToMask().forward(decisions=decisions, identity_mask=CLASSES.squeeze(-1))["mask"]
    assert mask.dtype == torch.int32
    assert mask.flatten().tolist() == [0, 0, 2, 3]


def test_each_decision_needs_a_label():
    with pytest.raises(InputInvalid, match="a label for each decision"):
        DecisionToMask().forward(
            decisions=torch.ones(1, 2, 2, 1, dtype=torch.bool), identity_mask=torch.zeros(1, 1, 2, dtype=torch.int32)
        )
