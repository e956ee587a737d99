"""Every file is the same scene to a training and to an inference, bit for bit, and the right one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.client import SceneError, read_scenes
from swath.documents import DataDocument
from swath.engine.data import build
from swath.errors import SwathError

from .cases import CASES, CUBE, Case, envi, npz


def trained(folder: Path, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The one batch of a training on a file."""
    document = DataDocument.model_validate({"data_module": "scene", "params": {"path": name, **options}})
    (batch,) = build(document, lambda path: folder / path, seed=1).loader("train", epoch=0)
    return batch


def inferred(folder: Path, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a client sends of a file."""
    (scene,) = read_scenes(folder / name, **options)
    return scene.inputs()


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=str)
def test_training_and_inference_read_the_same_right_numbers(tmp_path: Path, case: Case) -> None:
    name = case.write(tmp_path)
    (scene,) = read_scenes(tmp_path / name, **case.options)

    train, infer = trained(tmp_path, name, case.options), inferred(tmp_path, name, case.options)

    cube = train["cube"].numpy()
    assert cube.dtype == np.float32
    assert cube.tobytes() == infer["cube"].astype(np.float32).tobytes()
    np.testing.assert_array_equal(cube[0], case.values)
    nm = None if infer["wavelengths"] is None else infer["wavelengths"].tolist()
    assert nm == (None if case.nm is None else [case.nm])
    assert (train["wavelengths"].tolist() if "wavelengths" in train else None) == nm
    assert (int(train["mask"].sum()) if "mask" in train else None) == case.mask
    assert (None if scene.mask is None else int(scene.mask.sum())) == case.mask


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
def test_training_and_inference_refuse_the_same_in_the_same_words(tmp_path: Path, case: Case) -> None:
    name = case.write(tmp_path)

    with pytest.raises(SwathError) as training:
        trained(tmp_path, name, case.options)
    with pytest.raises(SceneError) as inference:
        inferred(tmp_path, name, case.options)

    assert re.search(case.refused, str(training.value))
    assert str(inference.value).replace(f"{tmp_path}/", "") == str(training.value)
    assert name.partition(".")[0] in str(training.value)


def test_the_mean_over_valid_pixels_is_that_of_the_table(tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case.name == "envi ignore value"]
    (scene,) = read_scenes(tmp_path / case.write(tmp_path))

    assert scene.valid is not None
    assert np.argwhere(~scene.valid).tolist() == [[1, 2]]
    assert scene.bad_bands is not None
    assert scene.bad_bands.tolist() == [False, False, True, False, False, False]
    assert float(scene.values()[scene.valid][:, 0].mean(dtype=np.float64)) == pytest.approx(32800 / 19)


@pytest.mark.parametrize(
    ("write", "note"),
    [
        (
            envi(envi_data := np.ascontiguousarray(CUBE.transpose(2, 0, 1)).tobytes() + bytes(64)),
            "64 bytes after the data",
        ),
        (envi(data_ignore_value=-9999), "ignore value -9999 is none that uint16 can have"),
        (envi(data_gain_values="{2, 1, 1, 1, 1, 1}"), "'data gain values' of the header are not applied"),
    ],
)
def test_what_a_user_should_know_is_said_on_both_sides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: Any, note: str
) -> None:
    name = write(tmp_path)
    (scene,) = read_scenes(tmp_path / name)

    trained(tmp_path, name, {})

    assert note in "".join(scene.notes)
    assert note in caplog.text


def test_a_stack_gives_a_frame_each_and_a_training_chooses_one(tmp_path: Path) -> None:
    name = npz(cube=np.stack([CUBE, CUBE + 1]))(tmp_path)

    frames = [scene.inputs()["cube"] for scene in read_scenes(tmp_path / name)]

    assert len(frames) == 2
    assert trained(tmp_path, name, {"measurement": 1})["cube"].numpy().tobytes() == frames[1].astype("f4").tobytes()
    with pytest.raises(SwathError, match=r"holds 2 frames; choose one by measurement \(\+data\.params\.measurement\)"):
        trained(tmp_path, name, {})
