"""Normalisers of values and frames, by hand and against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import special

from swath.engine.nodes.normalization import (
    DisplayNormalizer,
    IdentityNormalizer,
    SigmoidNormalizer,
    SigmoidTransform,
    ZScoreNormalizer,
)
from swath.errors import InputInvalid


@pytest.fixture
def data():
    return torch.rand(2, 4, 3, 2, generator=torch.Generator().manual_seed(0))


def test_identity_hands_on(data):
    assert IdentityNormalizer().forward(data=data)["normalized"] is data


def test_light_is_encoded_for_screens():
    light = torch.tensor([-0.1, 0.0, 0.002, 0.18, 1.0]).reshape(1, 1, 5, 1)
    expected = torch.tensor([-1.292, 0.0, 0.02584, 0.461356, 1.0])
    torch.testing.assert_close(DisplayNormalizer().forward(data=light)["normalized"].flatten(), expected)


def test_a_sigmoid_of_each_value(data):
    transformed = SigmoidTransform().forward(data=data)["transformed"]
    np.testing.assert_allclose(transformed.numpy(), special.expit(data.numpy()), rtol=1e-6)


def test_a_sigmoid_about_the_lower_median_of_image_and_channel():
    data = torch.tensor([1.0, 2.0, 4.0, 5.0]).reshape(1, 2, 2, 1)
    # Median 2, population deviation sqrt(2.5).
    expected = torch.sigmoid((data - 2) / 2.5**0.5)
    torch.testing.assert_close(SigmoidNormalizer().forward(data=data)["normalized"], expected)


def test_a_flat_image_is_in_the_middle():
    assert SigmoidNormalizer().forward(data=torch.full((1, 2, 2, 1), 7.0))["normalized"].unique().tolist() == [0.5]


def test_an_image_needs_a_pixel_for_a_median():
    with pytest.raises(InputInvalid, match="at least one pixel"):
        SigmoidNormalizer().forward(data=torch.zeros(1, 0, 2, 1))


@pytest.mark.parametrize(("dims", "axes"), [(None, (1, 2)), ([-1], 3), ([0, 1, 2, 3], (0, 1, 2, 3))])
@pytest.mark.parametrize("keepdim", [True, False])
def test_z_scores(data, dims, axes, keepdim):
    scored = ZScoreNormalizer(dims=dims, eps=0.0, keepdim=keepdim).forward(data=data)["normalized"]
    exact = data.double().numpy()
    expected = (exact - exact.mean(axes, keepdims=True)) / exact.std(axes, keepdims=True)
    np.testing.assert_allclose(scored.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_flat_channel_has_z_scores_of_zero():
    assert ZScoreNormalizer().forward(data=torch.full((1, 2, 2, 1), 3.0))["normalized"].abs().max() == 0


@pytest.mark.parametrize("dims", [[4], [], [0.5]])
def test_dimensions_are_checked(dims):
    with pytest.raises(ValueError, match="dims"):
        ZScoreNormalizer(dims=dims)


@pytest.mark.parametrize(
    "node", [DisplayNormalizer(), SigmoidNormalizer(), SigmoidTransform(), ZScoreNormalizer()], ids=type
)
def test_normalisers_are_differentiable(node, data):
    leaf = data[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: next(iter(node.forward(data=values).values())), leaf)
