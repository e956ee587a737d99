"""Losses by hand-computed values and numerical gradients."""

import math

import pytest
import torch

from swath.engine.nodes.losses import (
    AnomalyBCEWithLogits,
    DeepSVDDSoftBoundaryLoss,
    SelectorDiversityRegularizer,
    SelectorEntropyRegularizer,
)
from swath.errors import InputInvalid

LOGITS = torch.tensor([0.0, 2.0]).reshape(1, 1, 2, 1)
TARGETS = torch.tensor([True, False]).reshape(1, 1, 2, 1)


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({}, (math.log(2) + math.log(1 + math.exp(2))) / 2),
        ({"weight": 10.0}, 5 * (math.log(2) + math.log(1 + math.exp(2)))),
        ({"pos_weight": 3.0, "reduction": "sum"}, 3 * math.log(2) + math.log(1 + math.exp(2))),
    ],
)
def test_cross_entropy(hparams, expected):
    loss = AnomalyBCEWithLogits(**hparams).forward(predictions=LOGITS, targets=TARGETS)["loss"]
    assert loss.item() == pytest.approx(expected)


def test_cross_entropy_wants_a_target_for_each_logit():
    with pytest.raises(InputInvalid, match="shape of the predictions"):
        AnomalyBCEWithLogits().forward(predictions=LOGITS, targets=TARGETS[:, :, :1])


def test_a_state_of_the_reference_package_with_its_copies_of_the_weight_fits():
    node = AnomalyBCEWithLogits(pos_weight=3.0)
    assert node.faults({"_pos_weight": torch.ones(1), "loss_fn.pos_weight": torch.ones(1)}, strict=True) == []


def test_soft_boundary():
    embeddings = torch.tensor([[0.0, 0.1], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    radius = (math.log(2) / 10) ** 2
    expected = 2 * (radius + ((0.01 - radius) + (25 - radius)) / 2 / 0.5)
    loss = DeepSVDDSoftBoundaryLoss(nu=0.5, weight=2.0).forward(embeddings=embeddings, center=torch.zeros(2))["loss"]
    assert loss.item() == pytest.approx(expected)


def test_entropy_of_equal_weights():
    weights = torch.full((4,), 0.75)
    node = SelectorEntropyRegularizer(weight=0.1)
    assert node.forward(weights=weights)["loss"].item() == pytest.approx(-0.1 * math.log(4), abs=1e-5)


def test_distance_to_a_target_entropy():
    node = SelectorEntropyRegularizer(weight=2.0, target_entropy=1.0)
    loss = node.forward(weights=torch.full((4,), 0.75))["loss"]
    assert loss.item() == pytest.approx(2 * (math.log(4) - 1) ** 2, abs=1e-4)


def test_diversity_is_minus_the_population_variance():
    loss = SelectorDiversityRegularizer(weight=0.5).forward(weights=torch.tensor([1.0, 3.0]))["loss"]
    assert loss.item() == -0.5


@pytest.mark.parametrize(
    ("node", "inputs"),
    [
        (AnomalyBCEWithLogits(pos_weight=2.0), {"predictions": LOGITS.double(), "targets": TARGETS}),
        (
            DeepSVDDSoftBoundaryLoss(),
            {"embeddings": torch.randn(1, 2, 2, 3).double(), "center": torch.zeros(3).double()},
        ),
        (SelectorEntropyRegularizer(target_entropy=0.3), {"weights": torch.rand(4).double()}),
        (SelectorDiversityRegularizer(), {"weights": torch.rand(4).double()}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_are_differentiable(node, inputs):
    node.double()
    first = next(iter(inputs))
    leaf = inputs[first].clone().requires_grad_()
    leaves = (leaf, *node.parameters())
    assert torch.autograd.gradcheck(lambda values, *_: node.forward(**(inputs | {first: values}))["loss"], leaves)
