"""The data modules `cu3s` and `cu3s_multi`, and their labels.

The SDK is proprietary and on no build machine, so a stand-in with the calls that we make takes its place: recordings
are .npy files of cubes under another name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from swath.engine.data.coco import Annotations
from swath.engine.data.module import FrameModule
from swath.errors import DataInvalid, DependencyMissing, FileMissing

Open = Callable[..., FrameModule]


class StandInSession:
    opened: int = 0

    def __init__(self, path: str) -> None:
        with open(path, "rb") as stream:
            self.cubes = np.load(stream)
        StandInSession.opened += 1

    def __len__(self) -> int:
        return len(self.cubes)

    def get_measurement(self, index: int) -> np.ndarray:
        return self.cubes[index]

    def get_reference(self, index: int, kind: str) -> object | None:
        return object() if kind == "Dark" else None


class StandInContext:
    processing_mode = ""

    def __init__(self, session: StandInSession) -> None:
        self.session = session

    def apply(self, cube: np.ndarray) -> SimpleNamespace:
        offset = 100 if self.processing_mode == "dark-subtract" else 0
        return SimpleNamespace(cube=SimpleNamespace(array=cube + offset, wavelength=[450, 550, 650]))


@pytest.fixture
def cuvis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in, importable as the SDK is."""
    module: Any = ModuleType("cuvis")
    module.SessionFile = StandInSession
    module.ProcessingContext = StandInContext
    module.ProcessingMode = SimpleNamespace(Raw="raw", DarkSubtract="dark-subtract", Reflectance="reflectance")
    module.ReferenceType = SimpleNamespace(White="White", Dark="Dark")
    monkeypatch.setitem(sys.modules, "cuvis", module)


@pytest.fixture
def recordings(workspace: Path) -> Path:
    """a.cu3s with three measurements and labels, and b.cu3s with two and none."""
    folder = workspace / "days"
    folder.mkdir()
    for name, count in (("a", 3), ("b", 2)):
        with (folder / f"{name}.cu3s").open("wb") as stream:
            np.save(stream, np.arange(count * 4 * 6 * 3, dtype=np.uint16).reshape(count, 4, 6, 3))
    square = {"image_id": 1, "category_id": 4, "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]}
    categories = [{"id": 4, "name": "stone"}]
    (folder / "a.json").write_text(json.dumps({"categories": categories, "annotations": [square]}))
    return folder


def frames(module: FrameModule, split: str = "predict") -> list[str]:
    return [sample.uid for sample in module.samples(split)]


@pytest.mark.parametrize(
    ("name", "params"), [("cu3s", {"cu3s_file_path": "days/a.cu3s"}), ("cu3s_multi", {"universe_csv": "u.csv"})]
)
def test_without_the_sdk_the_modules_say_so(
    open_data: Open, monkeypatch: pytest.MonkeyPatch, name: str, params: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "cuvis", None)

    with pytest.raises(DependencyMissing, match=r"reading \.cu3s files needs Cubert's proprietary SDK 'cuvis'"):
        open_data(name, params=params)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("cu3s", {}, "give 'cu3s_file_path', 'files' or 'data_dir'"),
        (
            "cu3s",
            {"cu3s_file": "a.cu3s"},
            r"params\.cu3s_file: Extra inputs .*parameters: annotation_json_path",
        ),
        (
            "cu3s",
            {"cu3s_file_path": "a.cu3s", "processing_mode": "Hot"},
            r"params\.processing_mode: .*'DarkSubtract'",
        ),
        ("cu3s_multi", {}, r"params\.universe_csv: Field required"),
    ],
)
def test_parameters_are_checked_before_the_sdk_is_asked_for(
    open_data: Open, name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataInvalid, match=message):
        open_data(name, params=params)


@pytest.mark.usefixtures("cuvis")
class TestOneRecording:
    def test_measurements_are_frames_with_masks_of_their_labels(self, open_data: Open, recordings: Path) -> None:
        params = {"cu3s_file_path": "days/a.cu3s", "processing_mode": "Raw"}

        batches = list(open_data("cu3s", params=params).loader("predict", epoch=0))

        assert [batch["mesu_index"].item() for batch in batches] == [0, 1, 2]
        assert [int(batch["mask"].max()) for batch in batches] == [0, 4, 0]
        assert batches[2]["cube"][0, 0, 0].tolist() == [144, 145, 146]
        assert batches[0]["wavelengths"].tolist() == [[450, 550, 650]]

    def test_without_splits_there_is_nothing_to_train_on(self, open_data: Open, recordings: Path) -> None:
        module = open_data("cu3s", params={"cu3s_file_path": "days/a.cu3s"})

        assert module.splits == ("predict",)

    def test_frames_are_chosen_by_their_labels(self, open_data: Open, recordings: Path) -> None:
        splits = {
            "train": [{"kind": "tag", "any_of": ["normal"]}],
            "test": [{"kind": "categories", "any_of": ["stone"]}],
        }

        module = open_data("cu3s", params={"cu3s_file_path": "days/a.cu3s"}, splits=splits)

        assert frames(module, "train") == ["days/a.cu3s#0", "days/a.cu3s#2"]
        assert frames(module, "test") == ["days/a.cu3s#1"]

    def test_measurements_can_be_chosen(self, open_data: Open, recordings: Path) -> None:
        params = {"cu3s_file_path": "days/a.cu3s", "measurement_indices": "2,0"}

        assert frames(open_data("cu3s", params=params)) == ["days/a.cu3s#0", "days/a.cu3s#2"]

    def test_the_processing_mode_is_applied(self, open_data: Open, recordings: Path) -> None:
        params = {"cu3s_file_path": "days/a.cu3s", "processing_mode": "DarkSubtract"}

        first = next(iter(open_data("cu3s", params=params).loader("predict", epoch=0)))

        assert first["cube"][0, 0, 0].tolist() == [100, 101, 102]

    def test_a_mode_needs_its_references(self, open_data: Open, recordings: Path) -> None:
        module = open_data("cu3s", params={"cu3s_file_path": "days/a.cu3s"})

        with pytest.raises(DataInvalid, match=r"a\.cu3s: processing_mode Reflectance needs White references"):
            list(module.loader("predict", epoch=0))

    def test_a_mode_that_the_sdk_does_not_know_is_named(self, open_data: Open, recordings: Path) -> None:
        params = {"cu3s_file_path": "days/a.cu3s", "processing_mode": "SpectralRadiance"}

        with pytest.raises(DataInvalid, match="the installed SDK has no mode 'SpectralRadiance'"):
            list(open_data("cu3s", params=params).loader("predict", epoch=0))

    def test_a_measurement_that_is_not_there_is_named(self, open_data: Open, recordings: Path) -> None:
        params = {"cu3s_file_path": "days/a.cu3s", "measurement_indices": [9], "processing_mode": "Raw"}

        with pytest.raises(DataInvalid, match=r"a\.cu3s: expected a measurement below 3, got 9"):
            list(open_data("cu3s", params=params).loader("predict", epoch=0))

    def test_a_file_that_the_sdk_cannot_open_is_named(self, open_data: Open, workspace: Path) -> None:
        (workspace / "bad.cu3s").write_bytes(b"rubbish")

        with pytest.raises(DataInvalid, match=r"^bad\.cu3s: not a readable cu3s recording"):
            open_data("cu3s", params={"cu3s_file_path": "bad.cu3s"})

    def test_it_can_be_a_scene(self, open_data: Open, recordings: Path) -> None:
        module = open_data("scene", params={"path": "days/a.cu3s", "measurement": 1, "processing_mode": "Raw"})

        (batch,) = module.loader("train", epoch=0)

        assert batch["cube"][0, 0, 0].tolist() == [72, 73, 74]


@pytest.mark.usefixtures("cuvis")
class TestSeveralRecordings:
    def test_a_folder_gives_the_first_measurement_of_each(self, open_data: Open, recordings: Path) -> None:
        assert frames(open_data("cu3s", params={"data_dir": "days"})) == ["days/a.cu3s#0", "days/b.cu3s#0"]

    def test_or_all_measurements(self, open_data: Open, recordings: Path) -> None:
        params = {"data_dir": "days", "frames": "measurements"}

        assert len(frames(open_data("cu3s", params=params))) == 5

    def test_a_list_of_files(self, open_data: Open, recordings: Path) -> None:
        assert frames(open_data("cu3s", params={"files": "days/b.cu3s"})) == ["days/b.cu3s#0"]

    def test_no_more_recordings_stay_open_than_allowed(self, open_data: Open, recordings: Path) -> None:
        splits = {"predict": [{"kind": "dir_indices", "ids": [0, 3, 1, 4]}]}
        params = {"data_dir": "days", "frames": "measurements", "processing_mode": "Raw"}

        def opened(most: int) -> int:
            module = open_data("cu3s", params={**params, "max_open_sessions": most}, splits=splits)
            before = StandInSession.opened
            list(module.loader("predict", epoch=0))
            return StandInSession.opened - before

        assert (opened(1), opened(2)) == (4, 2)

    @pytest.mark.parametrize(
        ("params", "error", "message"),
        [
            ({"files": ["a.raw"]}, DataInvalid, r"expected a file that ends with \.cu3s, got 'a\.raw'"),
            ({"files": ["none.cu3s"]}, FileMissing, r"recording 'none\.cu3s' does not exist"),
            ({"data_dir": "."}, DataInvalid, r"data_dir '\.' holds no \.cu3s files"),
        ],
    )
    def test_wrong_sources_are_named(
        self, open_data: Open, params: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            open_data("cu3s", params=params)


@pytest.mark.usefixtures("cuvis")
class TestUniverse:
    @pytest.fixture
    def universe(self, recordings: Path) -> str:
        (recordings / "universe.csv").write_text(
            "source,index,annotation,split\na.cu3s,0-1,a.json,train\na.cu3s,2,,val\nb.cu3s,0,,test\n"
        )
        return "days/universe.csv"

    def test_its_split_column_counts_without_selectors(self, open_data: Open, universe: str) -> None:
        module = open_data("cu3s_multi", params={"universe_csv": universe})

        assert {split: frames(module, split) for split in module.splits} == {
            "train": ["a.cu3s#0", "a.cu3s#1"],
            "val": ["a.cu3s#2"],
            "test": ["b.cu3s#0"],
            "predict": ["b.cu3s#0"],
        }

    def test_selectors_go_before_it(self, open_data: Open, universe: str) -> None:
        splits = {"train": [{"kind": "files", "paths": ["b.cu3s"]}]}

        module = open_data("cu3s_multi", params={"universe_csv": universe}, splits=splits)

        assert (module.splits, frames(module, "train")) == (("train", "predict"), ["b.cu3s#0"])

    def test_frames_are_labelled_by_their_rows(self, open_data: Open, universe: str) -> None:
        module = open_data("cu3s_multi", params={"universe_csv": universe, "processing_mode": "Raw"})

        masks = {batch["mesu_index"].item(): batch["mask"] for batch in module.loader("train", epoch=0)}

        assert (int(masks[0].max()), int(masks[1].max())) == (0, 4)


# --- labels ---


def annotated(folder: Path, **annotation: Any) -> Annotations:
    path = folder / "labels.json"
    path.write_text(json.dumps({"annotations": [{"image_id": 0, "category_id": 2, **annotation}]}))
    return Annotations(path)


def test_polygons_fill_the_pixels_inside(tmp_path: Path) -> None:
    labels = annotated(tmp_path, segmentation=[[0.5, 0.5, 3.5, 0.5, 3.5, 2.5, 0.5, 2.5]])

    expected = np.zeros((4, 6))
    expected[1:3, 1:4] = 2
    assert np.array_equal(labels.mask(0, (4, 6)), expected)


@pytest.mark.parametrize("counts", [[5, 2, 3, 2], "5230"], ids=["list", "text"])
def test_run_lengths_go_down_the_columns(tmp_path: Path, counts: Any) -> None:
    labels = annotated(tmp_path, segmentation={"size": [4, 3], "counts": counts})

    mask = labels.mask(0, (4, 3))

    assert mask.T.ravel().tolist() == [0] * 5 + [2] * 2 + [0] * 3 + [2] * 2


def test_long_and_falling_run_lengths_as_text(tmp_path: Path) -> None:
    # 40 is 8 + 1 * 32, in two characters; the fourth run, 2, is the second, 3, less 1.
    labels = annotated(tmp_path, segmentation={"size": [50, 1], "counts": "X135O"})

    runs = labels.mask(0, (50, 1)).ravel()

    assert runs.tolist() == [0] * 40 + [2] * 3 + [0] * 5 + [2] * 2


def test_a_region_of_another_size_is_cut_and_padded(tmp_path: Path) -> None:
    labels = annotated(tmp_path, segmentation={"size": [2, 2], "counts": [0, 4]})

    assert labels.mask(0, (1, 3)).tolist() == [[2, 2, 0]]


@pytest.mark.parametrize(
    "segmentation", [{"size": [2, 2], "counts": [1, 2]}, {"counts": [4]}, [[1, 2, 3]], "everything"]
)
def test_segmentations_that_are_none_are_named(tmp_path: Path, segmentation: Any) -> None:
    with pytest.raises(DataInvalid, match=r"^labels\.json: "):
        annotated(tmp_path, segmentation=segmentation).mask(0, (2, 2))


@pytest.mark.parametrize("text", ["", "[]", '{"annotations": [{}]}'])
def test_labels_that_are_not_coco_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)

    with pytest.raises(DataInvalid, match=r"^labels\.json: not a readable COCO file"):
        Annotations(tmp_path / "labels.json")
