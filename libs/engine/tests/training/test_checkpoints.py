"""Each argument of the checkpoint callback."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.documents import CheckpointDocument
from swath.engine.training.checkpoints import Checkpoints, Progress, check_document, format_name
from swath.errors import InvalidInput

EPOCH_STEPS = 4


def content(weights_only: bool) -> dict[str, Any]:
    return {"state_dict": {"node": {"w": torch.ones(2)}}, **({} if weights_only else {"optimizer": {}})}


def keep(folder: Path, values: list[float], *, at_epoch_end: bool = True, **fields: Any) -> Checkpoints:
    """Go through one epoch per value."""
    document = CheckpointDocument(monitor="x", **{"filename": "{epoch:02d}", **fields})
    check_document(document)
    checkpoints = Checkpoints(document, folder, "x", at_epoch_end=at_epoch_end)
    for epoch, value in enumerate(values):
        for step in range(EPOCH_STEPS):
            checkpoints.after_step(Progress(epoch, epoch * EPOCH_STEPS + step + 1), {"x": value}, content)
        end = Progress(epoch, (epoch + 1) * EPOCH_STEPS)
        checkpoints.after_validation(end, {"x": value}, content)
        checkpoints.after_epoch(end, {"x": value}, content, validated=True)
    return checkpoints


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["epoch=01.ckpt", "epoch=02.ckpt", "epoch=03.ckpt"]),
        ({"mode": "max"}, ["epoch=00.ckpt", "epoch=02.ckpt", "epoch=03.ckpt"]),
        ({"save_top_k": 1}, ["epoch=01.ckpt"]),
        ({"save_top_k": 0}, []),
        ({"save_top_k": -1}, [f"epoch=0{epoch}.ckpt" for epoch in range(4)]),
        ({"save_top_k": 1, "save_last": True}, ["epoch=01.ckpt", "last.ckpt"]),
        ({"save_top_k": 0, "save_last": True}, ["last.ckpt"]),
        ({"every_n_epochs": 2}, ["epoch=01.ckpt", "epoch=03.ckpt"]),
        ({"every_n_train_steps": 8, "filename": "{step}"}, ["step=16.ckpt", "step=8.ckpt"]),
        ({"train_time_interval": timedelta(hours=1)}, []),
        ({"save_top_k": 1, "auto_insert_metric_name": False}, ["01.ckpt"]),
        ({"save_top_k": 1, "filename": None}, ["epoch=1-step=8.ckpt"]),
        ({"save_top_k": 1, "filename": "best-{x:.1f}"}, ["best-x=1.0.ckpt"]),
        ({"save_top_k": 2, "filename": "same"}, ["same-v1.ckpt", "same.ckpt"]),
        ({"save_on_train_epoch_end": False}, ["epoch=01.ckpt", "epoch=02.ckpt", "epoch=03.ckpt"]),
    ],
)
def test_which_files_are_kept(tmp_path: Path, fields: dict[str, Any], expected: list[str]) -> None:
    keep(tmp_path / "kept", [4.0, 1.0, 3.5, 2.0], **fields)

    assert names(tmp_path / "kept") == expected


def test_the_best_is_known_with_its_score(tmp_path: Path) -> None:
    assert keep(tmp_path, [4.0, 1.0, 3.0]).best == (tmp_path / "epoch=01.ckpt", 1.0)


def test_no_number_is_never_the_best(tmp_path: Path) -> None:
    assert keep(tmp_path, [float("nan"), 2.0], save_top_k=1).best == (tmp_path / "epoch=01.ckpt", 2.0)


def test_last_can_be_a_link(tmp_path: Path) -> None:
    keep(tmp_path, [2.0, 1.0], save_last="link")

    assert (tmp_path / "last.ckpt").readlink() == Path("epoch=01.ckpt")


def test_names_of_other_runs_get_a_counter_unless_it_is_off(tmp_path: Path) -> None:
    keep(tmp_path, [1.0])
    keep(tmp_path, [1.0])
    keep(tmp_path, [1.0], enable_version_counter=False)

    assert names(tmp_path) == ["epoch=00-v1.ckpt", "epoch=00.ckpt"]


def test_a_time_interval_saves_after_it(tmp_path: Path) -> None:
    document = CheckpointDocument(monitor="x", train_time_interval=timedelta(milliseconds=1))
    checkpoints = Checkpoints(document, tmp_path, "x", at_epoch_end=True)
    time.sleep(0.002)

    checkpoints.after_step(Progress(0, 1), {"x": 1.0}, content)

    assert names(tmp_path) == ["epoch=0-step=1.ckpt"]


@pytest.mark.parametrize(("alone", "keys"), [(True, {"state_dict"}), (False, {"state_dict", "optimizer"})])
def test_weights_alone_or_all(tmp_path: Path, alone: bool, keys: set[str]) -> None:
    keep(tmp_path, [1.0], save_weights_only=alone)

    assert set(torch.load(tmp_path / "epoch=00.ckpt", weights_only=True)) == keys


@pytest.mark.parametrize(("wanted", "expected"), [(True, ["epoch=00.ckpt"]), (False, [])])
def test_the_state_at_an_error(tmp_path: Path, wanted: bool, expected: list[str]) -> None:
    document = CheckpointDocument(monitor="x", save_on_exception=wanted, filename="{epoch:02d}")

    Checkpoints(document, tmp_path, "x", at_epoch_end=True).after_error(Progress(0, 1), {}, content)

    assert names(tmp_path) == expected


@pytest.mark.parametrize(("verbose", "lines"), [(True, 1), (False, 0)])
def test_verbose_logs_each_file(tmp_path: Path, caplog: pytest.LogCaptureFixture, verbose: bool, lines: int) -> None:
    with caplog.at_level("INFO"):
        keep(tmp_path, [1.0], verbose=verbose)

    assert len(caplog.records) == lines


def test_a_value_that_validation_did_not_bring_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(CheckpointDocument(monitor="y"), tmp_path, "y", at_epoch_end=True)

    checkpoints.after_epoch(Progress(0, 1), {"x": 1.0}, content, validated=False)
    with pytest.raises(InvalidInput, match="'y' is not among the values that this run reports: x"):
        checkpoints.after_epoch(Progress(0, 1), {"x": 1.0}, content, validated=True)


def test_slashes_of_metric_names_make_no_folders() -> None:
    name = format_name("{epoch}-{m/iou:.2f}", Progress(3, 9), {"m/iou": 0.123}, insert_names=True)

    assert name == "epoch=3-m_iou=0.12"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"every_n_epochs": 1, "every_n_train_steps": 2}, "every_n_train_steps and every_n_epochs exclude each other"),
        ({"every_n_train_steps": -1}, "must not be negative"),
        ({"train_time_interval": timedelta(0)}, "must be positive"),
        ({"filename": "../x"}, "must be a name inside dirpath"),
        ({"filename": "{epoch:zz}"}, "Invalid format specifier|Unknown format code"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_document(CheckpointDocument(**fields))
