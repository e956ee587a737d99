"""Masks of what stands out: by angle to the background, and by brightness."""

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu

from swath.engine.graph.registry import create
from swath.engine.nodes.segmentation.intensity import IntensityThresholdSegmenter
from swath.engine.nodes.spectral_angle_mapper import SpectralObjectMask
from swath.engine.ops.thresholds import otsu
from swath.errors import GraphInvalid, InputInvalid


def _turned(degrees):
    """Spectra ``[..., 2]`` at an angle to the background, which is (1, 0)."""
    radians = torch.as_tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=-1).float()


def _frame(height, width, *objects, angle=20.0):
    degrees = torch.zeros(1, height, width)
    for rows, columns in objects:
        degrees[0, rows, columns] = angle
    return _turned(degrees)


def _marked(outputs):
    return outputs["decisions"][0, ..., 0].int().tolist()


def test_angles_to_the_median_spectrum_are_in_degrees_and_do_not_depend_on_brightness():
    degrees = torch.tensor([0.0, 0, 0, 0, 0, 0.001, 5.9, 6.1, 90]).reshape(1, 1, 9)
    brightness = torch.tensor([1.0, 1, 1, 1, 2, 9, 0.1, 3, 2]).reshape(1, 1, 9, 1)
    outputs = SpectralObjectMask(stride=1, median_stride=1).forward(cube=_turned(degrees) * brightness)
    torch.testing.assert_close(outputs["angle"][..., 0], degrees, rtol=1e-4, atol=1e-6)
    assert _marked(outputs) == [[0, 0, 0, 0, 0, 0, 0, 1, 1]]


def test_marks_on_the_grid_are_enlarged():
    outputs = SpectralObjectMask(stride=2, median_stride=1).forward(cube=_frame(4, 6, (slice(2, 3), slice(4, 5))))
    assert outputs["angle"].shape == (1, 2, 3, 1)
    assert _marked(outputs) == [[0] * 6, [0] * 6, [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]


def test_a_black_pixel_is_at_a_right_angle():
    cube = _frame(1, 5)
    cube[0, 0, 4] = 0
    assert SpectralObjectMask(stride=1, median_stride=1).forward(cube=cube)["angle"].max().item() == 90


def test_a_pixel_that_is_not_finite_is_neither_object_nor_background():
    cube = _frame(1, 5, (0, slice(3, 4)))
    cube[0, 0, 0, 1] = torch.nan
    assert _marked(SpectralObjectMask(stride=1, median_stride=1).forward(cube=cube)) == [[0, 0, 0, 1, 0]]


def test_holes_and_gaps_are_filled():
    cube = _frame(9, 11, (slice(2, 7), slice(2, 7)))
    cube[0, 4, 4] = cube[0, 0, 0]
    cube[0, 2, 5] = cube[0, 0, 0]
    plain = SpectralObjectMask(stride=1, median_stride=1)
    filling = SpectralObjectMask(stride=1, median_stride=1, fill=True)
    assert plain.forward(cube=cube)["decisions"].sum() == 23
    assert _marked(filling.forward(cube=cube)) == [[0] * 11] * 2 + [[0] * 2 + [1] * 5 + [0] * 4] * 5 + [[0] * 11] * 2


def test_a_large_hole_is_filled_and_a_bay_is_not():
    cube = _frame(30, 13, (slice(2, 11), slice(2, 11)))
    cube[0, 4:9, 4:9] = cube[0, 0, 0]
    bay = cube.clone()
    bay[0, 4:9, 9:] = cube[0, 0, 0]
    node = SpectralObjectMask(stride=1, median_stride=1, fill=True)
    outputs = node.forward(cube=torch.cat([cube, bay]))
    assert outputs["decisions"].flatten(1).sum(1).tolist() == [81, 81 - 35]


def test_marks_grow_to_all_sides():
    cube = _frame(5, 6, (2, 0))
    outputs = SpectralObjectMask(stride=1, median_stride=1, dilate_px=1).forward(cube=cube)
    assert _marked(outputs) == [[0] * 6, *[[1, 1, 0, 0, 0, 0]] * 3, [0] * 6]


@pytest.mark.parametrize(("low", "high", "expected"), [(0.0, 180.0, 5), (9.5, 12.0, 4), (0.0, 1.0, 9)])
@pytest.mark.parametrize("last", [1.9999, 2.0, 2.0001, 2.05])
def test_otsu_finds_the_level_of_each_frame_within_bounds(low, high, expected, last):
    # The level is in the middle from 2 to 9 degrees, whichever step of 0.1 degrees the 2 is in after rounding.
    degrees = torch.tensor([0.0] * 10 + [1.5, 1.5, last, last, 9, 10, 11, 12, 13]).reshape(1, 1, 19)
    node = SpectralObjectMask(stride=1, median_stride=1, threshold="otsu", otsu_floor_deg=low, otsu_ceiling_deg=high)
    assert node.forward(cube=_turned(degrees))["decisions"].sum() == expected


def test_the_level_is_that_of_scikit_image():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(60, 12, 4000), generator.normal(170, 25, 2500)]).clip(0, 255)
    picture = values.astype(np.uint8)
    histogram = torch.bincount(torch.from_numpy(picture).long(), minlength=256)
    assert otsu(torch.stack([histogram, histogram.flip(0)]), within=0).tolist() == [
        threshold_otsu(picture),
        threshold_otsu(255 - picture),
    ]


@pytest.mark.parametrize("within", [0.0, 0.5])
def test_otsu_takes_the_middle_of_an_empty_stretch(within):
    # Bins 2 and 3 are empty: from 2 to 4. Neighbouring classes, a single bin, and nothing at all have no such stretch.
    counts = torch.tensor([[0, 4, 0, 0, 7, 0], [0, 4, 7, 0, 0, 0], [0, 0, 9, 0, 0, 0], [0] * 6])
    assert otsu(counts, within=within).tolist() == [3.0, 1 + within, within, within]


def test_otsu_takes_the_first_of_equal_stretches():
    assert otsu(torch.tensor([5, 0, 0, 3, 0, 0, 5]), within=0).item() == 2.0


def test_as_many_pixels_as_a_float_cannot_count_have_a_level():
    assert otsu(torch.tensor([2**25 + 1, 0, 2**25 + 3, 0]), within=0).item() == 1.5


def test_no_frames_give_no_frames():
    outputs = SpectralObjectMask(fill=True, threshold="otsu", dilate_px=2).forward(cube=torch.zeros(0, 9, 8, 3))
    assert outputs["decisions"].shape == (0, 9, 8, 1)
    assert outputs["angle"].shape == (0, 3, 2, 1)


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"min_angle_deg": 200}, "min_angle_deg must be at most 180"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"threshold": "best"}, "threshold must be one of fixed, otsu"),
        ({"otsu_floor_deg": 13}, "otsu_floor_deg 13 is above otsu_ceiling_deg 12"),
    ],
)
def test_hparams_are_checked(hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create("SpectralObjectMask", "it", hparams)


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"low": 2.0, "high": 3.0}, [1, 1, 0]),
        ({"low": 3.0, "high": 4.0, "reduction": "max"}, [1, 1, 0]),
        ({"low": 1.0, "high": 2.0, "reduction": "band"}, [1, 1, 0]),
        ({"low": 4.0, "high": 9.0, "reduction": "band", "band_index": -1}, [0, 1, 1]),
    ],
)
def test_pixels_of_some_brightness_are_marked_bounds_included(hparams, expected):
    cube = torch.tensor([[1.0, 3.0], [2.0, 4.0], [5.0, 5.0]]).reshape(1, 1, 3, 2)
    assert IntensityThresholdSegmenter(**hparams).forward(cube=cube)["mask"].flatten().tolist() == expected


def test_intensity_bounds_and_bands_are_checked():
    with pytest.raises(GraphInvalid, match="high must be at least 2"):
        create("IntensityThresholdSegmenter", "it", {"low": 2, "high": 1})
    with pytest.raises(InputInvalid, match="a channel 3"):
        IntensityThresholdSegmenter(reduction="band", band_index=3).forward(cube=torch.zeros(1, 1, 1, 3))
