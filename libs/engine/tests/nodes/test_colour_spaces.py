"""Colours against scikit-image and published values."""

import numpy as np
import pytest
import torch
from skimage import color

from swath.engine.ops.colour.spaces import linear_to_oklab, linear_to_srgb, srgb_to_linear


def test_the_encoding_and_its_inverse_undo_each_other():
    values = torch.linspace(0, 1, 301, dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(linear_to_srgb(values)), values, rtol=1e-6, atol=1e-7)


def test_linear_light_gives_the_luminance_that_scikit_image_gives():
    encoded = np.random.default_rng(0).random((50, 3))
    linear = srgb_to_linear(torch.from_numpy(encoded)).numpy()
    luminance = linear @ np.array([0.212671, 0.715160, 0.072169])
    np.testing.assert_allclose(luminance, color.rgb2xyz(encoded)[:, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("linear", "expected"),
    [
        ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0], [0.62796, 0.22486, 0.12585]),
        ([0.0, 1.0, 0.0], [0.86644, -0.23389, 0.17950]),
        ([0.0, 0.0, 1.0], [0.45201, -0.03246, -0.31153]),
    ],
)
def test_oklab_of_the_primaries(linear, expected):
    torch.testing.assert_close(linear_to_oklab(torch.tensor(linear)), torch.tensor(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("convert", [linear_to_srgb, srgb_to_linear, linear_to_oklab])
def test_conversions_are_differentiable(convert):
    colours = torch.tensor([[0.001, 0.5, 0.9], [0.2, 0.02, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(convert, colours)


@pytest.mark.parametrize("convert", [linear_to_srgb, srgb_to_linear, linear_to_oklab])
def test_slopes_are_finite_at_and_below_black(convert):
    colours = torch.tensor([[0.0, -0.2, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    convert(colours).sum().backward()
    assert colours.grad is not None
    assert colours.grad.isfinite().all()
