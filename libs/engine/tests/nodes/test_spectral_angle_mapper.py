"""Angles between spectra by trigonometry."""

import math

import pytest
import torch

from swath.engine.nodes.spectral_angle_mapper import SpectralAngleMapper
from swath.errors import InputInvalid


def _run(pixels, references):
    cube = torch.tensor(pixels).reshape(1, 1, -1, len(pixels[0]))
    signature = torch.tensor(references).reshape(len(references), 1, 1, -1)
    return SpectralAngleMapper().forward(cube=cube, spectral_signature=signature)


def test_angles_do_not_depend_on_brightness():
    outputs = _run([[1.0, 0.0], [5.0, 5.0], [0.0, 0.01]], [[3.0, 0.0], [2.0, 2.0]])
    expected = torch.tensor([[0, math.pi / 4], [math.pi / 4, 0], [math.pi / 2, math.pi / 4]])
    torch.testing.assert_close(outputs["scores"][0, 0], expected, atol=1e-3, rtol=0)


def test_the_nearest_reference_is_named_from_one():
    outputs = _run([[1.0, 0.0], [5.0, 5.1]], [[3.0, 0.0], [2.0, 2.0]])
    assert outputs["identity_mask"].flatten().tolist() == [1, 2]
    torch.testing.assert_close(outputs["best_scores"], outputs["scores"].amin(-1, keepdim=True))


def test_of_one_spectrum_at_several_brightnesses_the_first_is_named():
    generator = torch.Generator().manual_seed(0)
    spectra = torch.rand(200, 31, generator=generator) + 0.1
    references = torch.cat([factor * spectra[:3] for factor in (1.0, 3.0, 0.7)])
    node = SpectralAngleMapper()
    outputs = node.forward(cube=spectra.reshape(1, 10, 20, 31), spectral_signature=references.reshape(9, 1, 1, 31))
    named = outputs["identity_mask"].flatten()
    assert named[:3].tolist() == [1, 2, 3]
    assert set(named.tolist()) == {1, 2, 3}


def test_a_zero_spectrum_is_at_a_right_angle_to_all():
    outputs = _run([[0.0, 0.0], [1.0, 1.0]], [[1.0, 2.0], [0.0, 0.0]])
    assert outputs["scores"][0, 0, 0].tolist() == pytest.approx([math.pi / 2] * 2)
    assert outputs["scores"][0, 0, 1, 1].item() == pytest.approx(math.pi / 2)


def test_a_pixel_of_negative_mean_is_turned_round():
    outputs = _run([[-1.0, -1.0]], [[1.0, 1.0]])
    assert outputs["scores"].item() == pytest.approx(0.0, abs=1e-3)


def test_it_agrees_with_dividing_by_the_means_first():
    generator = torch.Generator().manual_seed(0)
    cube = torch.randn(2, 3, 4, 9, generator=generator) + 0.3
    signature = torch.rand(3, 1, 1, 9, generator=generator)
    pixels, references = cube.double(), signature.double().reshape(3, 9)
    pixels, references = pixels / pixels.mean(-1, keepdim=True), references / references.mean(-1, keepdim=True)
    cosines = pixels @ references.T / (pixels.norm(dim=-1, keepdim=True) * references.norm(dim=-1))
    outputs = SpectralAngleMapper().forward(cube=cube, spectral_signature=signature)
    torch.testing.assert_close(outputs["scores"].double(), cosines.acos(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(0, 1, 1, 2), (1, 1, 1, 3), (1, 2, 1, 2)])
def test_references_must_fit_the_cube(shape):
    with pytest.raises(InputInvalid, match="spectral_signature"):
        SpectralAngleMapper().forward(cube=torch.ones(1, 1, 1, 2), spectral_signature=torch.ones(shape))
