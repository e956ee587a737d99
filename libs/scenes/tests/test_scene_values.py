"""Values of a scene: scaled, rounded once, NaN where a pixel is invalid."""

from __future__ import annotations

import numpy as np
import pytest

from swath.errors import DataInvalid
from swath.scenes import Scene

GOOD = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def with_value(value: float, *bands: int, dtype: str = "f4") -> np.ndarray:
    """The cube with a value in some bands of the pixel at row 1, column 2."""
    cube = GOOD.astype(dtype)
    cube[1, 2, list(bands)] = value
    return cube


def invalid(scene: Scene) -> list[list[int]]:
    return [] if scene.valid is None else np.argwhere(~scene.valid).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999.0])
@pytest.mark.parametrize("bands", [(0,), (3,), (0, 1, 2, 3)])
def test_one_band_without_a_value_makes_a_pixel_invalid_in_all(value: float, bands: tuple[int, ...]) -> None:
    scene = Scene("a", with_value(value, *bands), ignore_value=-9999)

    assert invalid(scene) == [[1, 2]]
    expected = GOOD.copy()
    expected[1, 2] = np.nan
    np.testing.assert_array_equal(scene.values(), expected)
    np.testing.assert_array_equal(scene.inputs()["cube"][0], expected)


@pytest.mark.parametrize("value", [np.nan, -9999.0])
def test_a_bad_band_without_a_value_makes_none_and_can_be_left_out(value: float) -> None:
    bad = np.array([False, True, False, False])
    scene = Scene("a", with_value(value, 1), ignore_value=-9999, bad_bands=bad)

    assert scene.valid is None
    np.testing.assert_array_equal(scene.without_bad_bands().values(), GOOD[..., [0, 2, 3]])


def test_the_ignore_value_is_one_of_stored_numbers() -> None:
    scene = Scene("a", np.array([[[10, 0]], [[5, 1]]], np.uint8), scale=0.5, offset=-5.0, ignore_value=0)

    np.testing.assert_array_equal(scene.values(), [[[np.nan, np.nan]], [[-2.5, -4.5]]])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "i8", "u8", "f4", "f8", ">u2", ">f4"])
def test_the_ignore_value_is_met_in_every_type(dtype: str) -> None:
    assert invalid(Scene("a", with_value(100, 2, dtype=dtype), ignore_value=100)) == [[1, 2]]


def test_scaled_values_are_the_nearest_float32() -> None:
    stored = np.arange(60000, dtype=np.uint16).reshape(100, 100, 6)
    scene = Scene("a", stored, scale=1 / 10000)

    np.testing.assert_array_equal(scene.values(), (stored / 10000).astype(np.float32))


def test_scale_and_offset_may_differ_by_band() -> None:
    scene = Scene("a", GOOD, scale=np.array([1.0, 2.0, 3.0, 4.0]), offset=np.array([0.0, 1.0, 2.0, 3.0]))

    np.testing.assert_array_equal(scene.values(), GOOD * [1, 2, 3, 4] + [0, 1, 2, 3])


def test_a_rectangle_has_the_values_of_the_whole() -> None:
    scene = Scene("a", with_value(np.nan, 0), scale=2.0)

    np.testing.assert_array_equal(scene.crop((1, 2, 1, 3)), scene.values()[1:2, 1:3])


def test_what_float32_does_not_hold_is_invalid() -> None:
    assert invalid(Scene("a", with_value(1e300, 0, dtype="f8"))) == [[1, 2]]


def test_a_scene_of_bad_bands_alone_is_refused() -> None:
    with pytest.raises(DataInvalid, match="a: all 4 bands are marked bad"):
        Scene("a", GOOD, bad_bands=np.ones(4, bool)).without_bad_bands()
