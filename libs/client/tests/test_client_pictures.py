"""Cubes and score maps as pictures, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from swath.client import false_colour
from swath.client.data.pictures import as_map, stretched
from swath.client.data.validity import Extent, extent


def test_without_wavelengths_bands_at_three_quarters_half_and_one_quarter_are_shown() -> None:
    # One row of two pixels: all bands are 0 in the first, and the band's number + 1 in the second but for band 4.
    cube = np.zeros((1, 2, 8))
    cube[0, 1] = np.arange(1, 9)
    cube[0, 1, 4] = 0
    picture = false_colour(cube, stretch=(0, 100))
    # Bands 6, 4 and 2: the middle one is flat, and a flat band is black.
    assert picture.tolist() == [[[0, 0, 0], [1, 0, 1]]]
    assert picture.dtype == np.float32


def test_a_single_band_is_grey() -> None:
    assert false_colour(np.array([[[0.0], [10.0]]]), stretch=(0, 100)).tolist() == [[[0, 0, 0], [1, 1, 1]]]


def test_the_bands_next_to_red_green_and_blue_are_shown() -> None:
    cube = np.zeros((1, 2, 4))
    cube[0, 1] = [1, 0, 1, 0]
    # 640 nm is next to 630 (band 1), 550 to 540 (band 2), 460 to 470 (band 0)
    assert false_colour(cube, [[470, 630, 540, 900]], stretch=(0, 100))[0, 1].tolist() == [0, 1, 1]


def test_percentiles_are_cut() -> None:
    cube = np.arange(101.0).reshape(1, 101, 1)
    picture = false_colour(cube, stretch=(10, 90))[0, :, 0]
    assert picture[[0, 10, 50, 90, 100]].tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_one_bright_pixel_does_not_leave_the_rest_black() -> None:
    scores = np.r_[np.linspace(0, 1, 999), 1000.0]
    assert stretched(scores)[500] == pytest.approx(0.5, abs=0.01)
    assert stretched(scores)[-1] == 1.0


def test_a_flat_map_is_black() -> None:
    assert stretched(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("shape", [(1, 2, 3, 1), (1, 2, 3), (2, 3, 1), (2, 3)])
def test_a_map_is_one_frame_of_one_channel(shape: tuple[int, ...]) -> None:
    assert as_map(np.arange(6).reshape(shape)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("shape", [(6,), (2, 3, 4), (2, 1, 3, 1), (1, 2, 3, 4)])
def test_what_is_no_map_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected a map \[1, H, W, 1\], got \[" + ", ".join(map(str, shape))):
        as_map(np.zeros(shape))


def test_invalid_pixels_are_black_and_change_nothing_else() -> None:
    cube = np.random.default_rng(0).random((4, 5, 8)).astype(np.float32)
    spoilt = cube.copy()
    spoilt[0, 0], spoilt[1, 2, 4] = np.nan, np.inf
    picture = false_colour(spoilt)
    valid = np.ones((4, 5), dtype=bool)
    valid[0, 0] = valid[1, 2] = False
    assert (picture[~valid] == 0).all()
    expected = false_colour(cube[valid][:, None])
    np.testing.assert_array_equal(picture[valid], expected[:, 0])


def test_scores_of_invalid_pixels_are_0_and_change_nothing_else() -> None:
    scores = np.arange(10, dtype=np.float32)
    spoilt = np.concatenate([scores, [np.nan, np.inf, -np.inf]])
    np.testing.assert_array_equal(stretched(spoilt), np.concatenate([stretched(scores), [0, 0, 0]]))


def test_nothing_but_invalid_pixels_is_an_empty_picture() -> None:
    assert (false_colour(np.full((2, 3, 4), np.nan)) == 0).all()
    assert (stretched(np.full((2, 3), np.inf)) == 0).all()


def test_an_extent_is_that_of_the_valid_pixels() -> None:
    image = np.array([1.0, 2.0, np.nan, 3.0, 9.0, np.inf]).reshape(1, 3, 1, 2)
    assert extent(image) == Extent(1.0, 2.0, invalid=2, pixels=3)
    assert extent(np.array([3, 1, 2])) == Extent(1.0, 3.0, invalid=0, pixels=3)
    assert extent(np.full((1, 2, 2, 1), np.nan)) == Extent(None, None, invalid=4, pixels=4)
    assert extent(np.zeros((0,))) == Extent(None, None, invalid=0, pixels=0)
