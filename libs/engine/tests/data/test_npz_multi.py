"""The data module `npz_multi`: one .npz a frame, listed by universe.csv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.data.module import FrameModule
from swath.errors import DataInvalid, FileMissing, PathDenied

Open = Callable[..., FrameModule]

SPLITS = {
    "train": [{"kind": "file_indices", "source": "day1/a.cu3s", "ids": ["0-1"]}],
    "val": [{"kind": "files", "paths": ["day2/b.cu3s"]}],
    "test": [{"kind": "tag", "any_of": ["anomalous"]}],
}


@pytest.fixture
def universe(workspace: Path) -> Path:
    """Three frames of two recordings; the last has a mask with an anomaly, and classes."""
    folder = workspace / "frames"
    folder.mkdir()
    (folder / "universe.csv").write_text(
        "source,index,materialized_path,annotation,format,group,note\n"
        "day2/b.cu3s,7,b7.npz,labels.json,npz,day2,last\n"
        "day1\\a.cu3s,1,a1.npz,,,,\n"
        "day1/a.cu3s,0,a0.npz,,,,\n"
    )
    wavelengths = np.array([450.2, 550.7, 650.5], np.float32)
    for name, value in (("a0", 0.0), ("a1", 1.0)):
        np.savez(folder / f"{name}.npz", cube=np.full((2, 4, 3), value, np.float64), wavelengths=wavelengths)
    labels = np.array([[0, 0, 5, 5], [0, 0, 0, 0]], np.int64)
    np.savez(
        folder / "b7.npz",
        cube=np.full((2, 4, 3), 7, np.uint16),
        wavelengths=wavelengths,
        mask=labels > 0,
        class_mask=labels,
    )
    return folder


@pytest.fixture
def frames(open_data: Open, universe: Path) -> Callable[..., FrameModule]:
    def opened(**fields: Any) -> FrameModule:
        params = {"universe_csv": "frames/universe.csv"}
        return open_data("npz_multi", **{"splits": SPLITS, "batch_size": 2, "params": params, **fields})

    return opened


def test_batches_have_the_keys_and_types_of_the_contract(frames: Open) -> None:
    (batch,) = frames().loader("val", epoch=0)

    assert {key: (tuple(value.shape), value.dtype) for key, value in batch.items()} == {
        "cube": ((1, 2, 4, 3), torch.float32),
        "mask": ((1, 2, 4), torch.int32),
        "class_mask": ((1, 2, 4), torch.uint8),
        "wavelengths": ((1, 3), torch.int32),
        "mesu_index": ((1,), torch.int64),
        "frame_id": ((1,), torch.int64),
    }
    assert (batch["mask"].sum(), batch["class_mask"].max(), batch["mesu_index"], batch["frame_id"]) == (2, 5, 7, 2)
    assert batch["wavelengths"].tolist() == [[450, 551, 650]]


def test_frames_without_masks_have_zeros(frames: Open) -> None:
    (batch,) = frames().loader("train", epoch=0)

    assert sorted(batch["mesu_index"].tolist()) == [0, 1]
    assert not batch["mask"].any()
    assert not batch["class_mask"].any()


def test_frames_can_be_chosen_by_their_masks(frames: Open) -> None:
    splits = {"train": [{"kind": "tag", "any_of": ["normal"]}], "test": [{"kind": "categories", "any_of": ["5"]}]}

    module = frames(splits=splits)

    assert [sample.uid for sample in module.samples("train")] == ["day1/a.cu3s#0", "day1/a.cu3s#1"]
    assert [sample.uid for sample in module.samples("test")] == ["day2/b.cu3s#7"]


def test_splits_are_mandatory(frames: Open) -> None:
    with pytest.raises(DataInvalid, match="'npz_multi' needs 'splits'"):
        frames(splits=None)


def test_a_frame_that_no_split_uses_need_not_be_there(frames: Open, universe: Path) -> None:
    (universe / "b7.npz").unlink()
    train = SPLITS["train"]

    assert frames(splits={"train": train, "predict": train}).frames("train") == 2
    with pytest.raises(FileMissing, match=r"data file 'b7\.npz' of frame day2/b\.cu3s#7 does not exist"):
        frames(splits={"train": train})


def test_frames_need_no_wavelengths_or_all_the_same_and_they_can_be_given(frames: Open, universe: Path) -> None:
    np.savez(universe / "a0.npz", cube=np.zeros((2, 4, 3)))

    with pytest.raises(DataInvalid, match=r"differ in 'wavelengths': day1/a\.cu3s#0 has none"):
        list(frames().loader("train", epoch=0))
    (batch,) = frames(params={"universe_csv": "frames/universe.csv", "wavelengths": "400:600:3"}).loader(
        "train", epoch=0
    )
    assert batch["wavelengths"].tolist() == [[400, 500, 600]] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,materialized_path\na,a0.npz\n", r"expected columns source and index, missing \['index'\]"),
        ("source,index,materialized_path,split\na,0,a0.npz,train\n", "a 'split' column is not accepted here"),
        ("source,index,materialized_path\n", "lists no frames"),
        ("source,index,materialized_path\n,0,a0.npz\n", "line 2: 'source' is empty"),
        ("source,index,materialized_path\na,0,\n", "line 2: source 'a' needs a 'materialized_path'"),
        ("source,index,materialized_path\na,x,a0.npz\n", "line 2: 'index' must be a number >= 0, got 'x'"),
        ("source,index,materialized_path\na,0-3,a0.npz\n", "line 2: 'index' must be a number >= 0, got '0-3'"),
        ("source,index,materialized_path\na,0,../a0.npz\n", r"line 2: a path must not contain '\.\.'"),
        ("source,index,materialized_path\na,0,a0.npz\na,0,a1.npz\n", "source 'a', index 0 is listed twice"),
        ("source,index,materialized_path\na,0,a0.npz\na,1,a0.npz\n", r"'a0\.npz' is listed twice"),
        ("source,index,materialized_path\na,0,\xe9\n", "is not a CSV file in UTF-8"),
    ],
)
def test_a_universe_that_is_not_one_is_named(frames: Open, universe: Path, text: str, message: str) -> None:
    (universe / "universe.csv").write_bytes(text.encode("latin-1"))

    with pytest.raises(DataInvalid, match=rf"frames/universe\.csv:? .*{message}|universe\.csv: {message}"):
        frames()


def test_a_universe_does_not_lead_out_of_the_workspace(frames: Open, universe: Path) -> None:
    (universe / "universe.csv").write_text("source,index,materialized_path\na,0,/etc/hostname\n")

    with pytest.raises(PathDenied):
        frames()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, DataInvalid, r"params\.universe_csv: Field required"),
        ({"universe_csv": "frames"}, DataInvalid, r"must end with \.csv, got 'frames'"),
        ({"universe_csv": "none.csv"}, FileMissing, r"universe_csv 'none\.csv' does not exist"),
        (
            {"universe_csv": "frames/universe.csv", "samples_per_frame": 0},
            DataInvalid,
            r"params\.samples_per_frame: .*greater than or equal to 1",
        ),
    ],
)
def test_wrong_parameters_are_named(frames: Open, params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        frames(params=params)
