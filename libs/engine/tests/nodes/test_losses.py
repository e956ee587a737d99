"""Losses by hand-computed values and numerical gradients."""

import math

import pytest
import torch

from swath.engine.nodes.losses import (
    AnomalyBCEWithLogits,
    DeepSVDDSoftBoundaryLoss,
    DistinctnessLoss,
    ForegroundContrastLoss,
    MSEReconstructionLoss,
    OrthogonalityLoss,
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


def test_outputs_that_look_at_the_same_channels_are_alike():
    weights = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 5.0]])
    loss = DistinctnessLoss(weight=0.6).forward(selection_weights=weights)["loss"]
    assert loss.item() == pytest.approx(0.6 * 1 / 3)


@pytest.mark.parametrize("weights", [torch.eye(3), torch.ones(1, 3)])
def test_outputs_that_share_nothing_cost_nothing(weights):
    assert DistinctnessLoss().forward(selection_weights=weights)["loss"].item() == 0.0


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 2 * 2.5), ("sum", 2 * 5.0)])
def test_squared_error(reduction, expected):
    reconstruction, target = (torch.tensor(cube).reshape(1, 1, 1, 2) for cube in ([1.0, 2.0], [2.0, 4.0]))
    node = MSEReconstructionLoss(weight=2.0, reduction=reduction)
    assert node.forward(reconstruction=reconstruction, target=target)["loss"].item() == expected


def test_a_reconstruction_needs_a_cube_of_its_shape():
    with pytest.raises(InputInvalid, match="shape of the reconstruction"):
        MSEReconstructionLoss().forward(reconstruction=torch.zeros(1, 1, 1, 2), target=torch.zeros(1, 1, 1, 1))


def test_directions_that_are_not_orthonormal():
    # The Gram matrix is [[4, 2], [2, 2]].
    components = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    assert OrthogonalityLoss(weight=0.5).forward(components=components)["loss"].item() == 0.5 * (9 + 4 + 4 + 1)


RGB = torch.tensor([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.9, 0.8, 0.7], [0.7, 0.8, 0.9]]).reshape(1, 2, 2, 3)
FOREGROUND = torch.tensor([[[1, 2], [0, 0]]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({}, -math.sqrt(3 * 0.6**2)),
        # Variance 0.01, 0 and 0.01; both means are 0.3 from that of the frame in each channel.
        ({"compactness_weight": 3.0}, -math.sqrt(3 * 0.6**2) + 3 * 0.02 / 3),
        ({"anchor_weight": 2.0, "weight": 0.5}, 0.5 * (-math.sqrt(3 * 0.6**2) + 2 * 2 * 0.3**2)),
    ],
)
def test_contrast_of_mean_colours(hparams, expected):
    loss = ForegroundContrastLoss(**hparams).forward(rgb=RGB, mask=FOREGROUND)["loss"]
    assert loss.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("encoded", "grey"), [(False, 0.125), (True, 0.388573)])
def test_contrast_where_equal_distances_look_equal(encoded, grey):
    # Linear grey of 1/8 has lightness 1/2.
    rgb = torch.stack([torch.full((1, 1, 3), grey), torch.ones(1, 1, 3)], dim=2)
    mask = torch.tensor([[[1, 0]]], dtype=torch.int32)
    node = ForegroundContrastLoss(color_space="oklab", assume_srgb=encoded)
    assert node.forward(rgb=rgb, mask=mask)["loss"].item() == pytest.approx(-0.5, abs=1e-4)


def test_frames_without_background_or_foreground_do_not_count():
    node = ForegroundContrastLoss()
    rgb, mask = RGB.expand(3, -1, -1, -1), torch.cat([FOREGROUND, 0 * FOREGROUND, 0 * FOREGROUND + 1])
    assert torch.equal(node.forward(rgb=rgb, mask=mask)["loss"], node.forward(rgb=RGB, mask=FOREGROUND)["loss"])
    leaf = RGB.clone().requires_grad_()
    loss = node.forward(rgb=leaf, mask=0 * FOREGROUND)["loss"]
    loss.backward()
    assert loss.item() == 0.0


def test_contrast_needs_a_mask_of_the_picture():
    with pytest.raises(InputInvalid, match="a label for each pixel"):
        ForegroundContrastLoss().forward(rgb=RGB, mask=FOREGROUND[:, :1])


@pytest.mark.parametrize(
    ("node", "inputs"),
    [
        (DistinctnessLoss(), {"selection_weights": torch.rand(3, 4).double()}),
        (
            MSEReconstructionLoss(),
            {"reconstruction": torch.rand(1, 2, 2, 2).double(), "target": torch.rand(1, 2, 2, 2).double()},
        ),
        (OrthogonalityLoss(), {"components": torch.rand(2, 3).double()}),
        (ForegroundContrastLoss(compactness_weight=1, anchor_weight=1), {"rgb": RGB.double(), "mask": FOREGROUND}),
        (ForegroundContrastLoss(color_space="oklab"), {"rgb": RGB.double(), "mask": FOREGROUND}),
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
