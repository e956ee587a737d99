"""What files say of their numbers: ignore values, scales, bad bands, axes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from swath.errors import DataInvalid
from swath.scenes import Options, Scene, read_scene
from swath.scenes.draft import Draft
from swath.scenes.draft import finished as draft_finished


def _envi(folder: Path, cube: np.ndarray, more: str) -> Path:
    """A cube as an ENVI pair; returns the header."""
    kind = {"float32": 4, "uint16": 12}[str(cube.dtype)]
    lines, samples, bands = cube.shape
    (folder / "scene.img").write_bytes(cube.tobytes())
    (folder / "scene.hdr").write_text(
        f"ENVI\nsamples = {samples}\nlines = {lines}\nbands = {bands}\ndata type = {kind}\ninterleave = bip\n{more}\n"
    )
    return folder / "scene.hdr"


@pytest.mark.parametrize("value", ["inf", "-inf", "-1.79769313486232e+308", "1e40"])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_an_ignore_value_that_no_number_of_the_cube_can_have_marks_nothing(
    tmp_path: Path, dtype: str, value: str
) -> None:
    cube = np.arange(24).reshape(2, 3, 4).astype(dtype)
    scene = read_scene(_envi(tmp_path, cube, f"data ignore value = {value}"))
    assert scene.valid is None
    np.testing.assert_array_equal(scene.values(), cube.astype(np.float32))


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_a_scale_that_is_no_number_or_nothing_is_refused(tmp_path: Path, scale: float) -> None:
    header = _envi(tmp_path, np.ones((2, 3, 4), np.uint16), "")
    with pytest.raises(DataInvalid, match="scale: expected "):
        read_scene(header, Options(scale=scale))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = np.ones((2, 3, 4), np.uint16)
        file["cube"].attrs["scale_factor"] = scale
    with pytest.raises(DataInvalid, match="scale: expected finite numbers other than 0"):
        read_scene(tmp_path / "a.h5")


def test_attributes_of_hdf5_may_say_a_scale_for_each_band(tmp_path: Path) -> None:
    cube = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    scales = np.array([0.001, 0.01, 0.1, 1.0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = cube
        file["cube"].attrs["scale_factor"] = scales
    np.testing.assert_array_equal(read_scene(tmp_path / "a.h5").values(), (cube * scales).astype(np.float32))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["cube"].attrs["scale_factor"] = scales[:3]
    with pytest.raises(DataInvalid, match="scale_factor: expected one number, or one for each of 4 bands, got 3"):
        read_scene(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("attribute", "scale", "expected"),
    [
        ("scale_factor", 10_000.0, 10_000.0),
        ("Scale_Factor", 10_000.0, 1e-4),
        ("SCALE_FACTOR", 10_000.0, 1e-4),
        ("SCALE_FACTOR", 0.0001, 0.0001),
        ("Scale_factor", 0.01, 0.01),
    ],
)
def test_a_scale_in_any_capitals_is_taken(tmp_path: Path, attribute: str, scale: float, expected: float) -> None:
    cube = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = cube
        file["cube"].attrs[attribute] = scale
        file["cube"].attrs["ADD_OFFSET"] = 0.5
        file["cube"].attrs["Wavelength"] = [450.0, 550.0, 650.0, 750.0]
    scene = read_scene(tmp_path / "a.h5")
    np.testing.assert_allclose(scene.values(), (cube * expected + 0.5).astype(np.float32), rtol=1e-6)
    assert scene.wavelengths is not None
    assert scene.wavelengths.tolist() == [450.0, 550.0, 650.0, 750.0]
    guessed = attribute not in ("scale_factor", "Scale_Factor") and scale > 1
    assert any(f"{attribute} is above 1 and taken as a divisor" in note for note in scene.notes) == guessed


def test_a_header_with_its_image_is_found_without_a_list_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = _envi(tmp_path, np.ones((2, 3, 4), np.uint16), "")

    def list_folder(folder: object, start: str) -> None:
        raise AssertionError(f"{folder} is listed")

    monkeypatch.setattr("swath.scenes.readers.envi._beside", list_folder)
    np.testing.assert_array_equal(read_scene(header).values(), read_scene(header.with_suffix(".img")).values())


def test_of_many_frames_only_the_chosen_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def finished(draft: Draft, *arguments: object, **more: object) -> Scene:
        made.append(draft.number)
        return draft_finished(draft, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("swath.scenes.readers.formats.finished", finished)
    cube = np.arange(96, dtype=np.float32).reshape(4, 2, 3, 4)
    np.savez(tmp_path / "a.npz", cube=cube)
    np.testing.assert_array_equal(read_scene(tmp_path / "a.npz", measurement=2).values(), cube[2])
    assert made == [2]


def test_bands_that_are_marked_bad_and_stay_are_named(tmp_path: Path) -> None:
    header = _envi(tmp_path, np.ones((2, 3, 4), np.uint16), "bbl = {1, 0, 1, 1}")
    (note,) = read_scene(header).notes
    assert note.startswith("1 of 4 bands are marked bad and stay; ")
    assert read_scene(header, Options(drop_bad_bands=True)).notes == ("left out 1 bands that are marked bad: 2",)


def test_a_mask_is_turned_with_its_cube(tmp_path: Path) -> None:
    cube = np.arange(3 * 3 * 2, dtype=np.uint16).reshape(3, 3, 2)
    mask = np.arange(9).reshape(3, 3)
    np.savez(tmp_path / "a.npz", cube=cube.transpose(2, 1, 0), mask=mask.T)
    scene = read_scene(tmp_path / "a.npz", Options(cube_axes="CWH"))
    np.testing.assert_array_equal(scene.cube, cube)
    np.testing.assert_array_equal(scene.mask, mask)


def test_a_stack_of_no_frames_and_a_frame_before_the_first_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", cube=np.zeros((0, 2, 3, 4)))
    with pytest.raises(DataInvalid, match="expected at least one frame"):
        read_scene(tmp_path / "none.npz")
    np.savez(tmp_path / "two.npz", cube=np.zeros((2, 2, 3, 4)))
    with pytest.raises(DataInvalid, match="expected a measurement below 2, got -1"):
        read_scene(tmp_path / "two.npz", measurement=-1)
