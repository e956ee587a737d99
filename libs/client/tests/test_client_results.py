"""What inference gave, in files: the numbers and colours that are found there again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as pictures
from numpy.typing import NDArray
from spectral.io import envi

from swath.client import SceneError
from swath.client.data.results import write_results
from swath.scenes import Georeference, Scene, read_scene

PLACED = Scene(
    "field",
    np.zeros((2, 3, 4), np.float32),
    georeference=Georeference(envi={"map info": "{UTM, 1, 1, 483000.0, 5627000.0, 2.0, 2.0, 32, North, WGS-84}"}),
)
BLACK, WHITE = [0, 0, 0], [255, 255, 255]


def _pixels(file: Path) -> NDArray[np.uint8]:
    """Red, green and blue of each pixel, 0 to 255."""
    return np.round(pictures.imread(file)[..., :3] * 255).astype(np.uint8)


def test_npz_holds_everything_by_its_name(tmp_path: Path) -> None:
    outputs: dict[str, NDArray[Any]] = {"rx.scores": np.arange(4.0), "decider.decisions": np.array([True])}
    assert write_results(tmp_path / "out.npz", outputs) == [tmp_path / "out.npz"]
    with np.load(tmp_path / "out.npz") as file:
        assert file["rx.scores"].tolist() == [0, 1, 2, 3]
        assert file["decider.decisions"].tolist() == [True]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    [written] = write_results(tmp_path / "a" / "b" / "out.npz", {"x": np.zeros(1)})
    assert written.is_file()


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    [written] = write_results(tmp_path / "OUT.NPZ", {"x": np.zeros(1)})
    assert written.name == "OUT.NPZ"


def test_a_mask_is_black_and_white(tmp_path: Path) -> None:
    [file] = write_results(tmp_path / "out.png", {"decisions": np.array([[[[False], [True]]]])})
    assert _pixels(file).tolist() == [[BLACK, WHITE]]


def test_classes_are_grey_from_the_lowest_to_the_highest(tmp_path: Path) -> None:
    [file] = write_results(tmp_path / "out.png", {"classes": np.array([[[3, 5]]], np.int32)})
    assert _pixels(file).tolist() == [[BLACK, WHITE]]


def test_scores_are_brighter_where_they_are_higher(tmp_path: Path) -> None:
    [file] = write_results(tmp_path / "out.png", {"scores": np.array([[[[0.0], [1.0], [2.0]]]])})
    brightness = _pixels(file).sum(axis=-1)[0]
    assert brightness[0] < brightness[1] < brightness[2]


def test_a_picture_keeps_its_colours_and_is_cut_at_0_and_1(tmp_path: Path) -> None:
    picture = np.array([[[[0.2, 0.4, 0.6], [-1.0, 0.0, 2.0]]]], np.float32)
    [file] = write_results(tmp_path / "out.png", {"overlay": picture})
    assert _pixels(file).tolist() == [[[51, 102, 153], [0, 0, 255]]]


def test_of_more_than_three_channels_the_first_is_shown(tmp_path: Path) -> None:
    stack = np.zeros((1, 1, 2, 5), bool)
    stack[0, 0, 1, 0] = True
    [file] = write_results(tmp_path / "out.png", {"masks": stack})
    assert _pixels(file).tolist() == [[BLACK, WHITE]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16", "uint8"])
def test_envi_keeps_values_and_dtypes(tmp_path: Path, dtype: str) -> None:
    cube = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    [header] = write_results(tmp_path / "out.hdr", {"cube": cube})
    found: Any = envi.open(str(header)).load(dtype=dtype, scale=False)  # type: ignore[attr-defined]
    assert header.with_suffix(".img").stat().st_size == cube.nbytes
    np.testing.assert_array_equal(np.asarray(found), cube[0])


def test_envi_has_no_truth_values_so_masks_are_bytes(tmp_path: Path) -> None:
    [header] = write_results(tmp_path / "out.hdr", {"mask": np.array([[[True, False]]])})
    assert header.with_suffix(".img").read_bytes() == b"\x01\x00"


def test_a_result_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for value in (1, 2):
        write_results(tmp_path / "out.hdr", {"mask": np.full((1, 1, 2), value, np.uint8)})
    assert (tmp_path / "out.img").read_bytes() == b"\x02\x02"


@pytest.mark.parametrize("suffix", [".png", ".hdr"])
def test_what_is_no_image_needs_an_npz(tmp_path: Path, suffix: str) -> None:
    outputs = {"center": np.zeros(3), "batch": np.zeros((2, 4, 4, 1))}
    with pytest.raises(SceneError, match=r"no output is an image .*center \[3\], batch \[2, 4, 4, 1\]; write an .npz"):
        write_results(tmp_path / f"out{suffix}", outputs)


def test_nothing_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"no output is an image \[1, H, W, C\]: nothing"):
        write_results(tmp_path / "out.png", {})


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SceneError, match=r"cannot write .*out\.npz: (Not a directory|File exists)"):
        write_results(tmp_path / "file" / "out.npz", {"x": np.zeros(1)})


def test_invalid_pixels_of_a_picture_are_black(tmp_path: Path) -> None:
    from matplotlib.image import imread

    image = np.full((1, 2, 2, 3), 0.5, dtype=np.float32)
    image[0, 0, 0, 1], image[0, 1, 1] = np.nan, np.inf
    write_results(tmp_path / "out.png", {"rgb": image})
    shown = imread(tmp_path / "out.png")[..., :3]
    assert (shown.max(axis=-1) > 0).tolist() == [[False, True], [True, False]]


def test_one_invalid_pixel_leaves_the_rest_of_a_score_map(tmp_path: Path) -> None:
    from matplotlib.image import imread

    scores = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    scores[0, 0, 0] = np.nan
    write_results(tmp_path / "out.png", {"scores": scores})
    shown = imread(tmp_path / "out.png")[..., :3].sum(axis=-1)
    assert len(np.unique(shown)) > 10


@pytest.mark.parametrize("suffix", [".hdr", ".tif"])
def test_images_of_the_scene_s_size_lie_where_it_does_and_others_do_not(tmp_path: Path, suffix: str) -> None:
    outputs = {"rx.scores": np.ones((1, 2, 3, 1), np.float32), "tiles.picture": np.ones((1, 4, 6, 3), np.float32)}

    map_file, other = write_results(tmp_path / f"out{suffix}", outputs, scene=PLACED)

    assert read_scene(map_file).georeference is not None
    assert read_scene(other).georeference is None


def test_what_of_a_place_a_file_does_not_say_is_noted(tmp_path: Path) -> None:
    turned = Scene(
        "field",
        PLACED.cube,
        georeference=Georeference(envi={"map info": "{UTM, 1, 1, 0, 0, 2, 2, 32, North, rotation=9}"}),
    )
    notes: list[str] = []

    [file] = write_results(tmp_path / "out.tif", {"rx.scores": np.ones((1, 2, 3, 1))}, scene=turned, notes=notes)

    assert notes == [f"{file}: the scene's grid is turned on the map, which only ENVI files say here: write .hdr"]
