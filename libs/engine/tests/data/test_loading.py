"""Batches come in an order that can be repeated and resumed, from any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.data.module import FrameModule
from swath.errors import DataInvalid

Open = Callable[..., FrameModule]


@pytest.fixture
def tiled(open_data: Open, small_scene: str) -> Callable[..., FrameModule]:
    """Twelve tiles in batches of five: the last batch of an epoch is short."""

    def opened(**fields: Any) -> FrameModule:
        params = {"path": small_scene, "tile": [2, 1], **fields.pop("params", {})}
        return open_data("scene", **{"batch_size": 5, **fields, "params": params})

    return opened


def order(module: FrameModule, split: str = "train", **at: Any) -> list[list[int]]:
    return [batch["mesu_index"].tolist() for batch in module.loader(split, **{"epoch": 0, **at})]


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_train_comes_in_another_order_each_epoch_and_each_frame_once(tiled: Open) -> None:
    module = tiled()

    first, second = (list(chain(*order(module, epoch=epoch))) for epoch in (0, 1))

    assert first != second
    assert sorted(first) == sorted(second) == list(range(12))


def test_the_order_follows_from_seed_and_epoch_alone(tiled: Open) -> None:
    assert order(tiled(seed=7), epoch=3) == order(tiled(seed=7), epoch=3)
    assert order(tiled(seed=7), epoch=3) != order(tiled(seed=8), epoch=3)


def test_other_splits_keep_their_order(tiled: Open) -> None:
    assert order(tiled(), "predict", epoch=5) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_a_later_start_gives_bit_for_bit_the_rest(tiled: Open, start: int) -> None:
    whole = list(tiled().loader("train", epoch=2))

    rest = list(tiled().loader("train", epoch=2, start_batch=start))

    assert len(rest) == 3 - start
    assert all(equal(first, second) for first, second in zip(whole[start:], rest, strict=True))


def test_reading_draws_nothing_from_the_global_random_state(tiled: Open) -> None:
    before = torch.get_rng_state()

    list(tiled().loader("train", epoch=0))

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("persistent", [False, True])
def test_loader_processes_give_the_same_batches_and_resume_the_same(tiled: Open, persistent: bool) -> None:
    module = tiled(num_workers=1, params={"persistent_workers": persistent})

    batches = [batch for epoch in (0, 1) for batch in module.loader("train", epoch=epoch, start_batch=epoch)]

    alone = [batch for epoch in (0, 1) for batch in tiled().loader("train", epoch=epoch, start_batch=epoch)]
    assert all(equal(first, second) for first, second in zip(batches, alone, strict=True))


def test_an_epoch_left_early_does_not_disturb_the_next(tiled: Open) -> None:
    module = tiled(num_workers=1, params={"persistent_workers": True})
    next(iter(module.loader("train", epoch=0)))

    assert order(module, epoch=1) == order(tiled(), epoch=1)


def test_train_frames_can_come_several_times_an_epoch(tiled: Open) -> None:
    module = tiled(params={"samples_per_frame": 3})

    assert (module.frames("train"), module.frames("predict")) == (36, 12)
    assert sorted(chain(*order(module))) == sorted([*range(12)] * 3)


def test_a_split_that_is_not_there_is_named_with_those_that_are(tiled: Open) -> None:
    module = tiled()

    for ask in (lambda: module.frames("val"), lambda: module.loader("val", epoch=0)):
        with pytest.raises(DataInvalid, match="no split 'val'; it has: train, predict"):
            ask()


def test_a_start_past_the_end_is_refused(tiled: Open) -> None:
    with pytest.raises(DataInvalid, match="'train' has 3 batches an epoch, so none can start at batch 4"):
        tiled().loader("train", epoch=0, start_batch=4)


@pytest.mark.parametrize("workers", [0, 1])
def test_frames_of_different_sizes_in_one_batch_are_named(open_data: Open, small_scene: str, workers: int) -> None:
    regions = {"train": [[0, 4, 0, 3]], "val": [[0, 2, 3, 6], [2, 4, 3, 5]]}
    module = open_data("scene", batch_size=2, num_workers=workers, params={"path": small_scene, "regions": regions})

    with pytest.raises(DataInvalid) as caught:
        list(module.loader("val", epoch=0))

    assert caught.value.message == (
        "frames of one batch differ in 'cube': scene.npz#1 has (2, 3, 3), scene.npz#2 has (2, 2, 3); "
        "use batch_size 1 or frames of one size"
    )


def test_a_file_that_goes_bad_in_a_loader_process_is_named(open_data: Open, workspace: Path) -> None:
    np.savez(workspace / "a.npz", cube=np.zeros((2, 2, 3)), wavelengths=np.array([1, 2, 3]))
    (workspace / "universe.csv").write_text("source,index,materialized_path\nday,0,a.npz\n")
    module = open_data(
        "npz_multi", num_workers=1, params={"universe_csv": "universe.csv"}, splits={"train": [{"kind": "all"}]}
    )
    (workspace / "a.npz").write_bytes(b"no longer an archive")

    with pytest.raises(DataInvalid, match=r"^day#0 \(a\.npz\): not a readable npz file: File is not a zip file$"):
        list(module.loader("train", epoch=0))


def test_fork_is_no_way_to_start_loader_processes(tiled: Open) -> None:
    with pytest.raises(DataInvalid, match=r"params\.worker_multiprocessing_context: .*'forkserver' or 'spawn'"):
        tiled(params={"worker_multiprocessing_context": "fork"})
