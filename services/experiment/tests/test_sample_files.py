"""Samples as runs have written them, over a real scene: rows, signals, views, pictures."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from swath.errors import InvalidInput
from swath.samples import Sample, manifest, signals
from swath.storage import ArtifactStore, Workspace
from swath.storage.artifacts.folder import FolderObjects
from swath_experiment.adapters.sample_files import StoredSampleFiles
from swath_experiment.runs.model import Run, RunFile

SCENE = Path(__file__).resolve().parents[3] / "examples" / "data" / "san_diego.npz"
TILES = [
    Sample("train" if row < 50 else "val", "scene.npz", 0, column, row, 25, 50)
    for row in (0, 50)
    for column in (0, 25, 50, 75)
]
IDS = [each.id for each in TILES]
NOBODY: dict[str, dict[str, Any]] = {}


@dataclass
class Written:
    """Runs that have written files; fulfils what is asked of `Runs` here."""

    artifacts: ArtifactStore
    by_run: dict[str, list[RunFile]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def put(self, run: str, kind: str, data: bytes) -> None:
        files = self.by_run.setdefault(run, [])
        files.append(RunFile(len(files) + 1, kind, await self.artifacts.put(data)))

    async def files(self, run: str, after: int) -> Sequence[RunFile]:
        self.asked.append((run, after))
        return [each for each in self.by_run.get(run, []) if each.number > after]


def segment(*rows: tuple[int, int, float]) -> bytes:
    writer = signals.SegmentWriter()
    for number, step, loss in rows:
        writer.add(IDS[number], step, 0, {"loss": loss})
    return writer.take()


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(ArtifactStore(FolderObjects(tmp_path / "artifacts")))


@pytest.fixture
def files(written: Written, tmp_path: Path) -> StoredSampleFiles:
    workspace = Workspace(tmp_path / "workspace", tmp_path / "configs")
    shutil.copyfile(SCENE, workspace.root / "scene.npz")
    return StoredSampleFiles(cast(Any, written), written.artifacts, workspace, tmp_path / "pictures")


RUN = Run(id="run-1", experiment="moss")


async def test_without_files_there_is_no_table(files: StoredSampleFiles) -> None:
    assert await files.table([], NOBODY, []) is None
    assert await files.table([RUN], NOBODY, []) is None


async def test_files_are_read_once_and_what_comes_later_is_added(files: StoredSampleFiles, written: Written) -> None:
    await written.put("run-1", "samples", manifest.write(TILES))
    await written.put("run-1", "signals", segment((0, 1, 0.5), (1, 2, 0.25)))
    early = await files.table([RUN], NOBODY, [])
    await written.put("run-1", "signals", segment((0, 3, 0.125)))
    late = await files.table([RUN], NOBODY, [])

    assert early is not None
    assert late is not None
    assert early.columns[:2] == ["sample_id", "origin"]
    assert [row["signal//loss"] for row in early.rows(IDS[:3])] == [0.5, 0.25, None]
    assert [row["signal//loss"] for row in late.rows(IDS[:3])] == [0.125, 0.25, None]
    assert late.trajectory("signal//loss", [IDS[0]], 10) == {IDS[0]: [0.5, 0.125]}
    assert late.at_step("signal//loss", 2) == {IDS[1]: 0.25}
    assert written.asked == [("run-1", 0), ("run-1", 2)]


async def test_runs_of_one_experiment_share_their_samples(files: StoredSampleFiles, written: Written) -> None:
    await written.put("run-1", "samples", manifest.write(TILES[:4]))
    await written.put("run-2", "samples", manifest.write(TILES))
    await written.put("run-2", "signals", segment((7, 1, 2.0)))
    table = await files.table([Run(id="run-2", experiment="moss"), RUN], NOBODY, [])
    assert table is not None
    assert list(table.ids()) == IDS
    assert list(table.select(table.ids(), "`signal//loss` > 1")) == [IDS[7]]


async def test_views_and_what_people_say_of_samples(files: StoredSampleFiles, written: Written) -> None:
    await written.put("run-1", "samples", manifest.write(TILES))
    said = {"discarded": {IDS[0]: True, IDS[1]: False}, "tag:cloud": {IDS[2]: True}, "tag:kind": {IDS[3]: "roof"}}
    table = await files.table([RUN], said, ["cloud", "empty"])
    assert table is not None
    ids = table.ids()
    assert (len(ids), ids[1], list(ids[2:4])) == (8, IDS[1], IDS[2:4])
    assert list(table.select(ids, "discarded")) == [IDS[0]]
    assert list(table.select(ids, "`tag:cloud` or `tag:kind` == 'roof'")) == IDS[2:4]
    assert list(table.select(ids, "`tag:empty`")) == []
    narrowed = table.select(ids, "origin == 'val' sortby x desc")
    assert list(narrowed) == IDS[:3:-1]
    assert list(table.select(narrowed, "x > 20 head 2")) == [IDS[7], IDS[6]]
    assert [bar.count for bar in table.histogram(ids, "origin", 10).bars] == [4, 4]
    slices = table.histogram(ids, "x", 2).bins
    assert slices is not None
    first = slices[0]
    assert (len(slices), first.low, first.high, first.mean) == (2, 0, 75, 37.5)
    with pytest.raises(InvalidInput, match="character 1: there is no column 'orign'; the nearest: `origin`"):
        table.select(ids, "orign == 'val'")

    nothing = await files.table([RUN], NOBODY, [])
    assert nothing is not None
    assert not [name for name in nothing.columns if name.startswith("tag:")]


async def test_pictures_are_cut_out_of_the_scene(files: StoredSampleFiles, written: Written, tmp_path: Path) -> None:
    await written.put("run-1", "samples", manifest.write(TILES))
    table = await files.table([RUN], NOBODY, [])
    assert table is not None

    whole = await table.picture(IDS[5], "cube", 4096, 4096)
    mask = await table.picture(IDS[5], "mask", 4096, 4096)
    small = await table.picture(IDS[5], "cube", 100, 20)

    assert whole is not None
    assert mask is not None
    assert small is not None
    assert (whole.shape, small.shape) == ((50, 25, 3), (20, 10, 3))
    stored = np.load(SCENE)
    labels = next(stored[name] for name in stored.files if stored[name].ndim == 2)[50:100, 25:50]
    shown = np.asarray(Image.open(io.BytesIO(mask.webp)).convert("L"))
    assert shown.shape == labels.shape
    # Where there is no anomaly all around it is black, and an anomaly is not.
    assert shown[labels == 0].mean() < 10
    if labels.any():
        assert shown[labels > 0].mean() > 60
    assert np.asarray(Image.open(io.BytesIO(whole.webp))).std() > 20
    assert await table.picture(IDS[5], "score", 10, 10) is None
    assert await table.picture("nobody", "cube", 10, 10) is None
    assert len(list((tmp_path / "pictures").glob("*/*"))) == 3

    (tmp_path / "workspace" / "scene.npz").unlink()
    # The sample is still there, without a picture.
    assert await table.picture(IDS[5], "cube", 10, 10) is None
