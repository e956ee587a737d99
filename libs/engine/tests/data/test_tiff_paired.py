"""The data module `tiff_paired`: a folder of TIFF cubes with PNG labels of the same names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from swath.engine.data.module import FrameModule
from swath.errors import DataInvalid, FileMissing

Open = Callable[..., FrameModule]


@pytest.fixture
def pairs(open_data: Open, workspace: Path) -> Callable[..., FrameModule]:
    """Two cubes of 4 x 6 pixels and 3 bands; `b` has a label of half its size with one coloured pixel."""
    images, labels = workspace / "images", workspace / "labels"
    images.mkdir()
    labels.mkdir()
    for value, name in enumerate(("a.tif", "b.tiff")):
        tifffile.imwrite(images / name, np.full((3, 4, 6), value, np.uint16), photometric="minisblack")
    (images / "notes.txt").write_text("not a cube")
    label = np.zeros((2, 3, 3), np.uint8)
    label[1, 2] = (255, 0, 0)
    Image.fromarray(label).save(labels / "b.png")

    def opened(splits: dict[str, Any] | None = None, **params: Any) -> FrameModule:
        given = {"images_dir": "images", "labels_dir": "labels", "wavelengths": "450, 550.6, 650", **params}
        return open_data("tiff_paired", splits=splits, params=given)

    return opened


def test_batches_have_cube_wavelengths_stem_and_label(pairs: Open) -> None:
    unlabelled, labelled = pairs().loader("predict", epoch=0)

    assert "label_rgb" not in unlabelled
    assert (labelled["stem"], labelled["mesu_index"].tolist()) == (["b"], [1])
    assert labelled["wavelengths"].tolist() == [[450, 551, 650]]
    assert (labelled["cube"].shape, labelled["cube"].dtype) == ((1, 4, 6, 3), torch.float32)
    assert (labelled["label_rgb"].shape, labelled["label_rgb"].dtype) == ((1, 4, 6, 3), torch.uint8)
    assert (labelled["label_rgb"][0, ..., 0] == 255).sum() == 4


def test_a_label_map_can_be_the_mask(pairs: Open, workspace: Path) -> None:
    Image.fromarray(np.array([[0, 3], [0, 0]], np.uint8)).save(workspace / "labels" / "b.png")
    splits = {"test": [{"kind": "categories", "any_of": ["3"]}]}

    (batch,) = pairs(splits, label_mode="label_map", label_output_key="mask").loader("test", epoch=0)

    assert (batch["mask"].shape, sorted(batch["mask"].unique().tolist())) == ((1, 4, 6), [0, 3])


def test_cubes_are_chosen_by_stem_place_and_tag(pairs: Open) -> None:
    module = pairs(
        {
            "train": [{"kind": "tag", "any_of": ["normal"]}],
            "val": [{"kind": "stems", "stems": ["b"]}],
            "test": [{"kind": "dir_indices", "ids": [1]}],
        }
    )

    assert {split: [sample.uid for sample in module.samples(split)] for split in ("train", "val", "test")} == {
        "train": ["images/a.tif"],
        "val": ["images/b.tiff"],
        "test": ["images/b.tiff"],
    }


def test_without_splits_all_cubes_are_for_training(pairs: Open) -> None:
    assert (pairs().splits, pairs().frames("train")) == (("train", "predict"), 2)


def test_suffixes_can_be_chosen(pairs: Open) -> None:
    assert pairs(glob="*.tif").frames("train") == 1


def test_cubes_need_no_wavelengths(pairs: Open) -> None:
    assert [set(batch) for batch in pairs(wavelengths=None).loader("predict", epoch=0)] == [
        {"cube", "stem", "mesu_index", "frame_id"},
        {"cube", "stem", "mesu_index", "frame_id", "label_rgb"},
    ]


def test_wavelengths_can_be_given_as_even_steps_in_another_unit(pairs: Open) -> None:
    (first, _) = pairs(wavelengths="0.4:0.6:3", wavelength_units="um").loader("predict", epoch=0)

    assert first["wavelengths"].tolist() == [[400, 500, 600]]


def test_a_label_that_is_no_picture_is_named(pairs: Open, workspace: Path) -> None:
    (workspace / "labels" / "b.png").write_text("no picture")

    with pytest.raises(DataInvalid, match=r"b\.png: not a readable picture"):
        list(pairs().loader("predict", epoch=0))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"images_dir": "none"}, FileMissing, "images_dir 'none' is not a folder that exists"),
        ({"labels_dir": "none"}, FileMissing, "labels_dir 'none' is not a folder that exists"),
        (
            {"images_dir": "labels"},
            DataInvalid,
            r"'labels' holds no files that end with \['.tif', '.tiff'\]",
        ),
        ({"label_mode": "cmyk"}, DataInvalid, r"params\.label_mode: .*'rgb' or 'label_map'"),
        ({"wavelengths": "blue"}, DataInvalid, r"params\.wavelengths: .*expected START:STOP:N or numbers, got 'blue'"),
    ],
)
def test_wrong_parameters_are_named(pairs: Open, params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pairs(**params)


def test_two_cubes_of_one_stem_are_refused(pairs: Open, workspace: Path) -> None:
    (workspace / "images" / "a.tiff").write_bytes((workspace / "images" / "a.tif").read_bytes())

    with pytest.raises(DataInvalid, match="holds several files of one stem: a"):
        pairs()
