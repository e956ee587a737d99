"""The data module `scene`: one file, whole, in tiles, in regions."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swath.documents import DataDocument, load_yaml, parse
from swath.engine.data import build, registry
from swath.engine.data.module import FrameModule
from swath.engine.data.modules.single_scene import find_scene
from swath.engine.data.tiles import tile_extents
from swath.errors import DataInvalid, FileMissing, InvalidInput, PathDenied

CONFIGS = Path(__file__).parents[4] / "configs" / "data"

Open = Callable[..., FrameModule]


def only(module: FrameModule, split: str) -> dict[str, Any]:
    (batch,) = module.loader(split, epoch=0)
    return batch


def tiles(module: FrameModule, split: str) -> list[int]:
    return [sample.index or 0 for sample in module.samples(split)]


def test_a_path_is_enough_and_gives_the_whole_scene_to_train(open_data: Open, san_diego: str) -> None:
    module = open_data("scene", params={"path": san_diego})

    batch = only(module, "train")

    assert module.splits == ("train", "predict")
    assert {key: (tuple(value.shape), value.dtype) for key, value in batch.items()} == {
        "cube": ((1, 100, 100, 189), torch.float32),
        "mask": ((1, 100, 100), torch.int32),
        "wavelengths": ((1, 189), torch.int32),
        "mesu_index": ((1,), torch.int64),
        "frame_id": ((1,), torch.int64),
    }
    assert batch["mask"].sum() == 134


def test_global_rx_on_the_real_scene_has_the_known_auc(open_data: Open, san_diego: str) -> None:
    batch = only(open_data("scene", params={"path": san_diego}), "train")
    pixels = batch["cube"].reshape(-1, 189).double()
    centred = pixels - pixels.mean(0)
    scores = (centred @ torch.linalg.pinv(torch.cov(pixels.T), hermitian=True) * centred).sum(1)

    order = scores.argsort()
    ranks = torch.empty_like(scores).index_copy_(0, order, torch.arange(1, 10001, dtype=scores.dtype))
    positive = batch["mask"].flatten() > 0
    auc = (ranks[positive].sum() - 134 * 135 / 2) / (134 * (10000 - 134))

    assert auc == pytest.approx(0.940, abs=0.001)


def test_the_shipped_tiles_give_each_split_one_aircraft_and_tiles_without(
    resolve: Callable[[str], Path], san_diego: str
) -> None:
    module = build(parse("data", load_yaml((CONFIGS / "san_diego.yaml").read_text())), resolve, seed=42)

    tiles_with, pixels_with = {}, {}
    for split in ("train", "val", "test"):
        masks = torch.cat([batch["mask"] for batch in module.loader(split, epoch=0)])
        tiles_with[split] = (int(masks.flatten(1).any(1).sum()), len(masks))
        pixels_with[split] = int(masks.sum())

    assert tiles_with == {"train": (2, 8), "val": (2, 4), "test": (1, 4)}
    assert pixels_with == {"train": 40, "val": 38, "test": 56}


def test_the_shipped_whole_scene_is_one_frame_to_train_and_test(resolve: Callable[[str], Path], san_diego: str) -> None:
    module = build(parse("data", load_yaml((CONFIGS / "san_diego_scene.yaml").read_text())), resolve, seed=42)

    assert {split: module.frames(split) for split in ("train", "val", "test") if split in module.splits} == {
        "train": 1,
        "test": 1,
    }


@pytest.mark.parametrize("given", ["san_diego.hdr", "san_diego.img"])
def test_the_envi_pair_holds_the_same_scene(
    open_data: Open, workspace: Path, examples: Path, san_diego: str, given: str
) -> None:
    for file in examples.glob("san_diego*.*"):
        shutil.copy(file, workspace)

    envi = only(open_data("scene", params={"path": given, "mask_path": "san_diego_mask.hdr"}), "train")

    npz = only(open_data("scene", params={"path": san_diego}), "train")
    assert all(torch.equal(envi[key], npz[key]) for key in npz)


def test_the_shipped_envi_files_are_those_that_the_script_makes(examples: Path, tmp_path: Path) -> None:
    runpy.run_path(str(examples / "make_envi.py"))["make_envi"](tmp_path)

    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {name: (examples / name).read_bytes() for name in made}
    assert len(made) == 4


def test_tiles_are_numbered_row_by_row_and_cut_where_they_say(
    open_data: Open, small_scene: str, small_cube: np.ndarray
) -> None:
    module = open_data("scene", batch_size=6, params={"path": small_scene, "tile": 2})

    batch = only(module, "predict")

    assert batch["mesu_index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert np.array_equal(batch["cube"][4], small_cube[2:4, 2:4])
    assert [sample.extent for sample in module.samples("predict")][4:] == [(2, 4, 2, 4), (2, 4, 4, 6)]


@pytest.mark.parametrize(
    ("edge", "columns"), [("shift", [(0, 4), (2, 6)]), ("drop", [(0, 4)])], ids=["moved inside", "left out"]
)
def test_tiles_that_do_not_fit_at_the_edge(
    open_data: Open, small_scene: str, edge: str, columns: list[tuple[int, int]]
) -> None:
    module = open_data("scene", params={"path": small_scene, "tile": [4, 4], "edge": edge})

    assert [sample.extent for sample in module.samples("train")] == [(0, 4, *pair) for pair in columns]


def test_a_stride_below_the_tile_makes_them_overlap(open_data: Open, small_scene: str) -> None:
    module = open_data("scene", params={"path": small_scene, "tile": [4, 2], "stride": [4, 1]})

    assert tiles(module, "train") == [0, 1, 2, 3, 4]


def test_selectors_choose_tiles_by_path_and_id(open_data: Open, small_scene: str) -> None:
    module = open_data(
        "scene",
        params={"path": small_scene, "tile": 2},
        splits={
            "train": [{"kind": "file_indices", "source": small_scene, "ids": ["0-2"]}],
            "val": [{"kind": "tag", "any_of": ["anomalous"]}],
            "test": [
                {
                    "kind": "except",
                    "of": [{"kind": "all"}, {"kind": "dir_indices", "ids": ["0-2", 5]}],
                }
            ],
        },
    )

    assert {split: tiles(module, split) for split in module.splits} == {
        "train": [0, 1, 2],
        "val": [5],
        "test": [3, 4],
        "predict": [0, 1, 2, 3, 4, 5],
    }


def test_tiles_belong_to_the_region_that_they_lie_fully_inside(open_data: Open, small_scene: str) -> None:
    regions = {"train": [[0, 4, 0, 3]], "test": [[0, 2, 4, 6], [2, 4, 4, 6]]}

    module = open_data("scene", params={"path": small_scene, "tile": 2, "regions": regions})

    assert (tiles(module, "train"), tiles(module, "test")) == ([0, 3], [2, 5])
    assert "val" not in module.splits


def test_regions_without_tiles_are_frames_themselves(open_data: Open, small_scene: str, small_cube: np.ndarray) -> None:
    regions = {"train": [[0, 4, 0, 3]], "val": [[0, 4, 3, 6]]}

    module = open_data("scene", params={"path": small_scene, "regions": regions})

    assert np.array_equal(only(module, "val")["cube"][0], small_cube[:, 3:])


def test_numbers_can_be_scaled_and_wavelengths_replaced(
    open_data: Open, small_scene: str, small_cube: np.ndarray
) -> None:
    params = {"path": small_scene, "scale": 0.5, "wavelengths": [400, 500, 600.7]}

    batch = only(open_data("scene", params=params), "train")

    assert np.array_equal(batch["cube"][0], small_cube * 0.5)
    assert batch["wavelengths"].tolist() == [[400, 500, 601]]


def test_what_the_file_does_not_hold_is_no_key(open_data: Open, workspace: Path, small_cube: np.ndarray) -> None:
    np.savez(workspace / "bare.npz", cube=small_cube)

    assert set(only(open_data("scene", params={"path": "bare.npz"}), "train")) == {"cube", "mesu_index", "frame_id"}


def test_constraints_see_pixels_that_overlapping_tiles_share(open_data: Open, small_scene: str) -> None:
    def split(test: int) -> FrameModule:
        return open_data(
            "scene",
            params={"path": small_scene, "tile": [4, 3], "stride": [4, 1]},
            splits={
                "train": [{"kind": "dir_indices", "ids": [0]}],
                "test": [{"kind": "dir_indices", "ids": [test]}],
                "constraints": [{"kind": "no_split_overlap"}],
            },
        )

    assert split(3).splits == ("train", "test", "predict")
    with pytest.raises(DataInvalid, match=r"8 pixels of scene\.npz are in tiles of both train and test"):
        split(1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"params\.path: Field required"),
        (
            {"path": "scene.npz", "tiles": 2},
            r"params\.tiles: Extra inputs.*parameters: class_mask_key, cube_axes, cube_key",
        ),
        ({"path": "scene.npz", "tile": 0}, r"params\.tile\.0: .*greater than or equal to 1"),
        ({"path": "scene.npz", "stride": 2}, "'stride' .* needs 'tile'"),
        ({"path": "scene.npz", "tile": [5, 2]}, r"\[5, 2\] is larger than the scene, which has \[4, 6\]"),
        ({"path": "scene.npz", "regions": {"train": [[0, 5, 0, 6]]}}, r"regions\.train: \[0, 5, 0, 6\] is not"),
        (
            {"path": "scene.npz", "regions": {"train": [[0, 3, 0, 6]], "val": [[2, 4, 0, 6]]}},
            "train and val share 6 pixels",
        ),
        (
            {"path": "scene.npz", "tile": 2, "regions": {"train": [[1, 3, 0, 6]]}},
            "no tile .* lies fully inside those of train",
        ),
        (
            {"path": "scene.npz", "cube_key": "hsi"},
            r"scene\.npz: expected an array 'hsi' as cube, got cube \[4",
        ),
        ({"path": "scene.npz", "wavelengths": [1, 2]}, "expected one for each of 3 bands, got 2"),
        ({"path": "notes.txt"}, r"notes\.txt: expected a scene file \(\.hdr.*got suffix '\.txt'"),
    ],
)
def test_wrong_parameters_are_named(
    open_data: Open, small_scene: str, workspace: Path, params: dict[str, Any], message: str
) -> None:
    (workspace / "notes.txt").write_text("no scene")

    with pytest.raises(DataInvalid, match=message):
        open_data("scene", params=params)


def test_a_scene_is_not_cut_into_more_tiles_than_anyone_can_mean() -> None:
    with pytest.raises(DataInvalid, match="20000 x 20000 tiles are more than 1000000"):
        tile_extents((20000, 20000), (1, 1))


def test_selectors_and_regions_together_are_refused(open_data: Open, small_scene: str) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        open_data(
            "scene",
            params={"path": small_scene, "regions": {"train": [[0, 4, 0, 6]]}},
            splits={"train": [{"kind": "all"}]},
        )


def test_a_scene_that_is_not_there_is_missing(open_data: Open) -> None:
    with pytest.raises(FileMissing, match=r"scene file 'data/none\.npz' does not exist"):
        open_data("scene", params={"path": "data/none.npz"})


def test_an_envi_image_that_is_a_link_out_of_the_workspace_is_refused(
    open_data: Open, workspace: Path, examples: Path, tmp_path: Path
) -> None:
    shutil.copy(examples / "san_diego.hdr", workspace)
    shutil.copy(examples / "san_diego.img", tmp_path / "elsewhere.img")
    (workspace / "san_diego.img").symlink_to(tmp_path / "elsewhere.img")

    with pytest.raises(PathDenied):
        open_data("scene", params={"path": "san_diego.hdr"})


def test_a_module_that_does_not_exist_is_refused_with_those_that_do(resolve: Callable[[str], Path]) -> None:
    with pytest.raises(InvalidInput) as caught:
        build(DataDocument(data_module="zarr"), resolve, seed=1)

    known = ["cu3s", "cu3s_multi", "npz_multi", "scene", "tiff_paired"]
    assert caught.value.message.startswith(f"no plugin provides data module 'zarr'; available: {known}")


def test_a_module_can_be_added_under_a_new_name_only(
    resolve: Callable[[str], Path], small_scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_FINDERS", dict(registry._FINDERS))

    registry.register("own", find_scene)

    document = DataDocument(data_module="own", params={"path": small_scene})
    assert build(document, resolve, seed=1).frames("train") == 1
    with pytest.raises(InvalidInput, match="a data module 'own' is there already"):
        registry.register("own", find_scene)
