"""Losses of class maps and masks, by hand and against torch."""

import math

import pytest
import torch
from torch.nn import functional

from swath.engine.nodes.losses import CrossEntropyLoss, DiceLoss, IoULoss
from swath.errors import InputInvalid


@pytest.fixture
def logits():
    return torch.randn(2, 3, 4, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets():
    return torch.randint(0, 3, (2, 3, 4), generator=torch.Generator().manual_seed(1), dtype=torch.int32)


@pytest.mark.parametrize(
    ("hparams", "options"),
    [
        ({}, {}),
        ({"ignore_index": 1}, {"ignore_index": 1}),
        ({"class_weights": [1.0, 2.0, 0.5]}, {"weight": torch.tensor([1.0, 2.0, 0.5])}),
    ],
)
def test_cross_entropy_is_that_of_torch(logits, targets, hparams, options):
    loss = CrossEntropyLoss(weight=2.0, **hparams).forward(logits=logits, targets=targets)["loss"]
    expected = functional.cross_entropy(logits.permute(0, 3, 1, 2), targets.long(), **options)
    torch.testing.assert_close(loss, 2 * expected)


def test_cross_entropy_of_equal_logits(targets):
    loss = CrossEntropyLoss().forward(logits=torch.zeros(2, 3, 4, 3), targets=targets)["loss"]
    assert loss.item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("node", [CrossEntropyLoss(ignore_index=7), DiceLoss(ignore_index=7)], ids=type)
def test_without_a_pixel_that_counts_the_loss_is_finite(logits, node):
    leaf = logits.requires_grad_()
    loss = node.forward(logits=leaf, targets=torch.full((2, 3, 4), 7, dtype=torch.int32))["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert leaf.grad.abs().max() == 0


def test_pixels_that_do_not_count_may_be_anything(logits, targets):
    spoilt = logits.clone()
    spoilt[targets == 1] = torch.nan
    node = CrossEntropyLoss(ignore_index=1)
    assert torch.equal(
        node.forward(logits=spoilt, targets=targets)["loss"], node.forward(logits=logits, targets=targets)["loss"]
    )


@pytest.mark.parametrize("node", [CrossEntropyLoss(), DiceLoss()], ids=type)
@pytest.mark.parametrize("value", [3, -1])
def test_classes_must_be_in_range(logits, targets, node, value):
    targets[0, 0, 0] = value
    with pytest.raises(InputInvalid, match="classes of 0 to 2"):
        node.forward(logits=logits, targets=targets)


@pytest.mark.parametrize("node", [CrossEntropyLoss(), DiceLoss()], ids=type)
def test_each_pixel_needs_a_class(logits, targets, node):
    with pytest.raises(InputInvalid, match="a class for each pixel"):
        node.forward(logits=logits, targets=targets[:, :1])


def test_cross_entropy_needs_the_classes_of_its_weights(logits, targets):
    with pytest.raises(InputInvalid, match="2 classes"):
        CrossEntropyLoss(class_weights=[1.0, 1.0]).forward(logits=logits, targets=targets)
    with pytest.raises(InputInvalid, match="at least 2 classes"):
        CrossEntropyLoss().forward(logits=logits[..., :1], targets=targets)


def test_a_state_of_the_reference_package_with_its_copy_of_the_weights_fits():
    assert CrossEntropyLoss(class_weights=[1.0]).faults({"_class_weights": torch.ones(1)}, strict=True) == []


# Two pixels of classes 0 and 1 with probabilities 3/4 and 1/4 each: p_0 = [3/4, 3/4], p_1 = [1/4, 1/4].
PAIR = torch.tensor([[3.0, 1.0], [3.0, 1.0]]).log().reshape(1, 1, 2, 2)
CLASSES = torch.tensor([[[0, 1]]], dtype=torch.int32)
DICE = (2 * 0.75 / 2.5, 2 * 0.25 / 1.5)


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({}, 1 - sum(DICE) / 2),
        ({"weight": 3.0, "include_background": False}, 3 * (1 - DICE[1])),
        ({"ignore_index": 0, "include_background": False}, 1 - 2 * 0.25 / 1.25),
    ],
)
def test_dice(hparams, expected):
    loss = DiceLoss(**hparams).forward(logits=PAIR, targets=CLASSES)["loss"]
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_dice_of_a_single_logit_is_about_class_1():
    loss = DiceLoss().forward(logits=torch.zeros(1, 1, 3, 1), targets=torch.tensor([[[1, 0, 2]]], dtype=torch.int32))
    assert loss["loss"].item() == pytest.approx(1 - 2 * 0.5 / 2.5, abs=1e-5)


@pytest.mark.parametrize(
    ("method", "probabilities"),
    [("clamp", [0.0, 0.5, 1.0]), ("minmax", [0.0, 1.5 / 4, 1.0]), ("sigmoid", None)],
)
def test_intersection_over_union(method, probabilities):
    scores = torch.tensor([-1.0, 0.5, 3.0]).reshape(1, 1, 3, 1)
    targets = torch.tensor([False, True, True]).reshape(1, 1, 3, 1)
    first, second, third = probabilities or torch.sigmoid(scores).flatten().tolist()
    both = second + third
    loss = IoULoss(weight=2.0, normalize_method=method).forward(predictions=scores, targets=targets)["loss"]
    assert loss.item() == pytest.approx(2 * (1 - both / (first + second + third + 2 - both)), abs=1e-5)


def test_scores_without_a_range_are_in_the_middle():
    scores, targets = torch.full((1, 1, 2, 1), 9.0), torch.tensor([True, False]).reshape(1, 1, 2, 1)
    loss = IoULoss(normalize_method="minmax").forward(predictions=scores, targets=targets)["loss"]
    assert loss.item() == pytest.approx(1 - 0.5 / 1.5, abs=1e-5)


def test_scores_need_targets_of_their_shape():
    with pytest.raises(InputInvalid, match="shape of the predictions"):
        IoULoss().forward(predictions=torch.zeros(1, 2, 2, 1), targets=torch.zeros(1, 1, 2, 1, dtype=torch.bool))


@pytest.mark.parametrize(
    "node",
    [CrossEntropyLoss(class_weights=[1.0, 2.0, 0.5]), CrossEntropyLoss(ignore_index=1), DiceLoss(ignore_index=1)],
    ids=lambda node: type(node).__name__,
)
def test_losses_of_classes_are_differentiable(logits, targets, node):
    leaf = logits[:1, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: node.forward(logits=values, targets=targets[:1, :2])["loss"], leaf)


@pytest.mark.parametrize("method", ["sigmoid", "minmax"])
def test_intersection_over_union_is_differentiable(method):
    leaf = torch.rand(1, 2, 3, 1, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(1, 2, 3, 1) > 0.5
    node = IoULoss(normalize_method=method)
    assert torch.autograd.gradcheck(lambda values: node.forward(predictions=values, targets=targets)["loss"], leaf)
