"""Samples of an experiment: queries over a million of them, pages of thumbnails, what recording costs a worker."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks import gradient
from benchmarks.harness import SCENE, InMemory, Row, limit_row, ratio_row, timed
from swath.engine.data.collection import Sample as SceneSample
from swath.samples import Edits, SampleTable, Tag, manifest, parse
from swath.samples.pictures import PictureCache, false_colour, fitted, webp
from swath.scenes import Scene, read_scene
from swath_training.runs.items import File
from swath_training.worker.sample_recorder import SampleRecorder

SAMPLES, PAGE, BOX = 1_000_000, 64, 192
TAGGED, DISCARDED, SEGMENT = 20_000, 1_000, 50_000
QUERIES = {
    "a comparison": "`signal//loss` > 0.5",
    "four conditions": "origin == 'train' and `signal//loss` > 0.25 and not discarded and `tag:cloud`",
    "arithmetic and a text": "anomalous / pixels > 0.1 and source.str.contains('9')",
    "sorted": "`signal//loss` > 0.5 sortby `signal//loss` desc",
    "sorted by two columns": "sortby source asc, `signal//loss` desc",
}


def measure() -> list[Row]:
    return [*_queries(), *_thumbnails(), *_recording()]


def _least(work: Callable[[], object], runs: int) -> float:
    """Return the least seconds of a call: what else runs on the machine makes it longer, and never shorter."""
    work()
    return min(timed(work) for _ in range(runs))


def _samples() -> pl.DataFrame:
    """Return a manifest: a thousand frames of a thousand tiles each."""
    random, rows = np.random.default_rng(0), np.arange(SAMPLES)
    columns = {
        "sample_id": [f"{row:016x}" for row in rows],
        "origin": np.array(["train", "val", "test"])[random.choice(3, SAMPLES, p=(0.7, 0.2, 0.1))],
        "source": [f"scenes/flight_{row // 1000}.img" for row in rows],
        "frame": np.zeros(SAMPLES, np.int64),
        "x": rows % 1000 * 64,
        "y": rows // 1000 * 64,
        "width": np.full(SAMPLES, 64),
        "height": np.full(SAMPLES, 64),
        "pixels": np.full(SAMPLES, 4096),
        "anomalous": random.integers(0, 1000, SAMPLES),
        "classes": np.array(["0", "0 1"])[random.integers(0, 2, SAMPLES)],
    }
    return pl.DataFrame(columns, schema_overrides=manifest.SCHEMA)


def _segment(ids: list[str], step: int) -> pl.DataFrame:
    losses = np.random.default_rng(step).random(len(ids), np.float32)
    return pl.DataFrame({"sample_id": ids, "step": [step] * len(ids), "epoch": [0] * len(ids), "loss": losses})


def _queries() -> list[Row]:
    frame = _samples()
    written, ids = manifest.to_parquet(frame), frame["sample_id"].to_list()
    table = SampleTable(manifest.read(written))
    table.add_segment(_segment(ids, 1))
    cloud = Tag("cloud", members=dict.fromkeys(ids[:TAGGED], True))
    edits = Edits(tags={cloud.name: cloud}, discarded=set(ids[-DISCARDED:]))
    table.apply(edits)
    rows = []
    for name, text in QUERIES.items():
        found = len(table.view(parse(text)))
        seconds = _least(lambda text=text: table.view(parse(text)), runs=15)
        rows.append(limit_row(f"query of {SAMPLES:,} samples: {name}", seconds * 1e3, 200, "ms", f"finds {found:,}"))
    opened = _least(lambda: SampleTable(manifest.read(written)), runs=3)
    segment = _segment(ids[:SEGMENT], 2)
    added = _least(lambda: table.add_segment(segment), runs=9)
    applied = _least(lambda: table.apply(edits), runs=5)
    return [
        *rows,
        Row(f"opening {SAMPLES:,} samples", f"{opened * 1e3:.0f} ms  ({len(written) / 2**20:.1f} MiB of Parquet)"),
        Row(f"signals of {SEGMENT:,} samples join them", f"{added * 1e3:.0f} ms"),
        Row(f"{TAGGED:,} tags and {DISCARDED:,} discards join them", f"{applied * 1e3:.0f} ms"),
    ]


def _thumbnails() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder:
        kept = Path(folder)

        def page(cache: PictureCache) -> None:
            for number in range(PAGE):
                cache.get((f"{number}", "cube", f"{BOX}x{BOX}"), _thumbnail)

        memory, disk = PictureCache(), PictureCache(kept)
        page(memory)
        page(disk)
        seconds = {
            "made anew from the file": _least(lambda: page(PictureCache()), runs=5),
            "read from the folder": _least(lambda: page(PictureCache(kept)), runs=9),
            "from memory": _least(lambda: page(memory), runs=9),
        }
    limits = {"made anew from the file": 1000}
    shown = " x ".join(map(str, _scene().cube.shape))
    return [
        limit_row(f"{PAGE} thumbnails, {name}", taken * 1e3, limits.get(name, 100), "ms", f"of {shown}")
        for name, taken in seconds.items()
    ]


def _scene() -> Scene:
    return read_scene(SCENE.with_suffix(".hdr"))


def _thumbnail() -> bytes:
    scene = _scene()
    known = scene.wavelengths
    picture = false_colour(scene.cube, None if known is None else known.tolist())
    height, width, _ = picture.shape
    return webp(picture, *fitted(height, width, BOX, BOX))


class _Listed(InMemory):
    """Batches in memory whose frames are tiles of a scene."""

    def samples(self, split: str) -> list[SceneSample]:
        """Return one of each frame."""
        return [
            SceneSample(
                SCENE.name, None, SCENE, extent=(0, gradient.SIDE, number, number + gradient.SIDE), position=number
            )
            for number in range(self.frames(split))
        ]


def _recording() -> list[Row]:
    """Compare training with and without a worker's recorder, in turn, on one thread."""
    frames = gradient.FRAMES
    made = [
        {**batch, "frame_id": torch.arange(number * frames, (number + 1) * frames)}
        for number, batch in enumerate(gradient.batches())
    ]
    data = _Listed(made, frames)

    def recorded() -> None:
        files: list[File] = []
        recorder = SampleRecorder(lambda content: hashlib.sha256(content).hexdigest(), files.append, str)
        recorder.begin(data)
        gradient.train(data, recorder)
        recorder.cut(1)
        recorder.publish(1)
        assert [file.rows for file in files] == [data.frames("train"), data.frames("train") * gradient.EPOCHS]

    def bare() -> None:
        gradient.train(data)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pairs = [(_processor_seconds(recorded), _processor_seconds(bare)) for _ in range(9)][1:]
    finally:
        torch.set_num_threads(threads)
    ours, floor = (min(column) for column in zip(*pairs, strict=True))
    steps = gradient.EPOCHS * gradient.BATCHES
    detail = f"{ours / steps * 1e3:.2f} ms against {floor / steps * 1e3:.2f} ms of one processor per batch"
    return [ratio_row("training with samples and signals recorded", ours / floor, 1.03, detail)]


def _processor_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
