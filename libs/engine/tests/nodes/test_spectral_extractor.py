"""Spectra of objects against numpy and scipy in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import trim_mean

from swath.engine.graph.registry import create
from swath.engine.nodes.spectral_extractor import (
    BBoxSpectralExtractor,
    MaskedMeanSpectrum,
    SignaturesToReferences,
    SpectralSignatureExtractor,
)
from swath.errors import GraphInvalid, InputInvalid


@pytest.fixture
def cube():
    return torch.rand(2, 12, 15, 4, generator=torch.Generator().manual_seed(0)) + 1


def _boxes(*boxes, frames=1):
    return torch.tensor([boxes] * frames, dtype=torch.float32).reshape(frames, -1, 4)


def _trimmed_std(pixels, share):
    cut = int(len(pixels) * share)
    return np.sort(pixels, axis=0)[cut : len(pixels) - cut].std(axis=0)


def test_the_middle_of_a_box_gives_its_trimmed_mean_and_deviation(cube):
    node = BBoxSpectralExtractor(center_crop_scale=0.5, trim_fraction=0.1, aggregation="mean", l2_normalize=False)
    outputs = node.forward(cube=cube, bboxes=_boxes([2.2, 1.4, 10, 9], frames=2))
    # 8 by 8 pixels from (2, 1), of which a quarter is left out on each side.
    for frame in range(2):
        pixels = cube[frame, 3:7, 4:8].double().reshape(-1, 4).numpy()
        spectrum, deviation = (outputs[port][frame, 0].numpy() for port in ("spectral_signatures", "spectral_std"))
        np.testing.assert_allclose(spectrum, trim_mean(pixels, 0.1), rtol=1e-6)
        np.testing.assert_allclose(deviation, _trimmed_std(pixels, 0.1), rtol=1e-5)
    assert outputs["spectral_valid"].tolist() == [[1], [1]]


def test_the_median_is_the_lower_of_two_and_gets_unit_length():
    cube = torch.tensor([[3.0, 0.0], [9.0, 8.0], [6.0, 5.0], [3.0, 4.0]]).reshape(1, 2, 2, 2)
    outputs = BBoxSpectralExtractor(center_crop_scale=1.0).forward(cube=cube, bboxes=_boxes([0, 0, 2, 2]))
    torch.testing.assert_close(outputs["spectral_signatures"][0, 0], torch.tensor([3.0, 4.0]) / 5)


def test_a_middle_of_too_few_pixels_gives_way_to_the_whole_box(cube):
    node = BBoxSpectralExtractor(center_crop_scale=0.3, min_crop_pixels=10, aggregation="mean", l2_normalize=False)
    outputs = node.forward(cube=cube[:1], bboxes=_boxes([0, 0, 4, 4]))
    expected = trim_mean(cube[0, :4, :4].reshape(-1, 4).double().numpy(), 0.1)
    np.testing.assert_allclose(outputs["spectral_signatures"][0, 0].numpy(), expected, rtol=1e-6)


def test_boxes_without_enough_pixels_are_not_valid(cube):
    cube[0, 6:9, 6:9] = torch.nan
    boxes = _boxes([20, 20, 30, 30], [5, 5, 4, 9], [0, 0, 1, 1], [6, 6, 9, 9], [torch.nan, 0, 5, 5], [-9, -9, 3, 3])
    outputs = BBoxSpectralExtractor().forward(cube=cube[:1], bboxes=boxes)
    assert outputs["spectral_valid"].tolist() == [[0, 0, 0, 0, 0, 1]]
    assert outputs["spectral_signatures"][0, :5].abs().max() == 0
    assert outputs["spectral_std"][0, :5].abs().max() == 0


def test_no_boxes_give_no_spectra(cube):
    outputs = BBoxSpectralExtractor().forward(cube=cube, bboxes=torch.zeros(2, 0, 4))
    assert outputs["spectral_signatures"].shape == (2, 0, 4)
    assert outputs["spectral_valid"].shape == (2, 0)


def test_boxes_belong_to_frames(cube):
    with pytest.raises(InputInvalid, match="boxes of 2 frames"):
        BBoxSpectralExtractor().forward(cube=cube, bboxes=torch.zeros(1, 3, 4))


@pytest.fixture
def labels():
    """Object 2 has 20 pixels, object 9 has 12 and object 5 three."""
    objects = torch.zeros(1, 12, 15, dtype=torch.int32)
    objects[0, 1:5, 2:7] = 2
    objects[0, 6:9, 8:12] = 9
    objects[0, 11, :3] = 5
    return objects


def test_each_object_has_a_trimmed_mean_and_deviation(cube, labels):
    outputs = SpectralSignatureExtractor(trim_fraction=0.2).forward(cube=cube[:1], mask=labels)
    for index, label in [(0, 2), (2, 9)]:
        pixels = cube[0][labels[0] == label].reshape(-1, 4).double().numpy()
        np.testing.assert_allclose(outputs["signatures"][0, index].numpy(), trim_mean(pixels, 0.2), rtol=1e-6)
        np.testing.assert_allclose(outputs["signatures_std"][0, index].numpy(), _trimmed_std(pixels, 0.2), rtol=1e-5)
    assert outputs["signatures"][0, 1].tolist() == [0] * 4


def test_objects_can_be_asked_for(cube, labels):
    node = SpectralSignatureExtractor()
    every = node.forward(cube=cube[:1], mask=labels)["signatures"]
    some = node.forward(cube=cube[:1], mask=labels, object_ids=torch.tensor([[9, 77, 2]]))["signatures"]
    assert torch.equal(some[0, [0, 2]], every[0, [2, 0]])
    assert some[0, 1].abs().max() == 0


def test_pixels_that_are_black_or_not_finite_do_not_count(cube, labels):
    clean = SpectralSignatureExtractor(trim_fraction=0).forward(cube=cube[:1, 2:], mask=labels[:, 2:])["signatures"]
    cube[0, 1, 2:4] = 0
    cube[0, 1, 4:7] = torch.inf
    outputs = SpectralSignatureExtractor(trim_fraction=0).forward(cube=cube[:1], mask=labels)
    torch.testing.assert_close(outputs["signatures"][0, 0], clean[0, 0])


def test_a_smaller_label_map_is_enlarged(cube):
    mask = torch.tensor([[[1, 0, 0], [0, 0, 2]]], dtype=torch.int32)
    outputs = SpectralSignatureExtractor(trim_fraction=0).forward(cube=cube[:1], mask=mask)
    torch.testing.assert_close(outputs["signatures"][0, 0], cube[0, :6, :5].mean((0, 1)))
    torch.testing.assert_close(outputs["signatures"][0, 1], cube[0, 6:, 10:].mean((0, 1)))


def test_no_objects_give_no_spectra(cube, labels):
    outputs = SpectralSignatureExtractor().forward(cube=cube[:1], mask=torch.zeros_like(labels))
    assert outputs["signatures"].shape == (1, 0, 4)


def test_one_label_map_is_of_one_frame(cube, labels):
    with pytest.raises(InputInvalid, match="one frame"):
        SpectralSignatureExtractor().forward(cube=cube, mask=labels)


def test_a_mean_spectrum_is_over_the_mask_alone(cube):
    mask = torch.zeros(2, 12, 15, dtype=torch.int32)
    mask[0, :2, :3] = 4
    cube[0, 5, 5] = torch.nan
    outputs = MaskedMeanSpectrum().forward(cube=cube, mask=mask)
    torch.testing.assert_close(outputs["mean_spectrum"][0], cube[0, :2, :3].mean((0, 1)))
    assert outputs["mean_spectrum"][1].tolist() == [0] * 4
    assert outputs["valid"].tolist() == [1, 0]


def test_a_mask_covers_the_cube(cube):
    with pytest.raises(InputInvalid, match="mask"):
        MaskedMeanSpectrum().forward(cube=cube, mask=torch.zeros(2, 1, 1, dtype=torch.int32))


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        (None, [[3.0, 4.0], [0.0, 0.0], [-1.0, -3.0]]),
        ("l2", [[0.6, 0.8], [0.0, 0.0], [-(0.1**0.5), -(0.9**0.5)]]),
        ("unit_mean", [[6 / 7, 8 / 7], [0.0, 0.0], [0.5, 1.5]]),
    ],
)
def test_each_spectrum_becomes_a_reference(normalize, expected):
    signatures = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [-1.0, -3.0]]])
    references = SignaturesToReferences(normalize).forward(signatures=signatures)["spectral_signature"]
    assert references.shape == (3, 1, 1, 2)
    torch.testing.assert_close(references[:, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize(
    ("name", "hparams", "words"),
    [
        ("BBoxSpectralExtractor", {"center_crop_scale": 1.1}, "center_crop_scale must be at most 1"),
        ("BBoxSpectralExtractor", {"aggregation": "sum"}, "aggregation must be one of median, mean"),
        ("SpectralSignatureExtractor", {"trim_fraction": 0.5}, "trim_fraction must be below 0.5"),
        ("SignaturesToReferences", {"normalize": "max"}, "normalize must be one of unit_mean, l2"),
    ],
)
def test_hparams_are_checked(name, hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create(name, "it", hparams)


@pytest.mark.parametrize("which", ["boxes", "labels", "mask"])
def test_gradients_are_those_of_finite_differences(cube, labels, which):
    node, extra = {
        "boxes": (BBoxSpectralExtractor(), {"bboxes": _boxes([2, 2, 9, 9])}),
        "labels": (SpectralSignatureExtractor(), {"mask": labels[:, 1:6, 2:9]}),
        "mask": (MaskedMeanSpectrum(), {"mask": labels[:, 1:6, 2:9]}),
    }[which]
    data = (cube if which == "boxes" else cube[:, 1:6, 2:9])[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: next(iter(node.forward(cube=values, **extra).values())), data)
