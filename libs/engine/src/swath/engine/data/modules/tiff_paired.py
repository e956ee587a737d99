"""``tiff_paired``: a folder of TIFF cubes, and a folder of PNG labels with the same names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Frame, Resolve, Sample, ordered
from swath.engine.data.frames import frame_of
from swath.engine.data.masks import read_png
from swath.engine.data.params import NameList, WavelengthParams, existing_folder, parse_params, posix
from swath.errors import DataInvalid
from swath.scenes import read_scene


class TiffPairedParams(WavelengthParams):
    """Parameters of ``tiff_paired``.

    Attributes:
        images_dir: Folder of the cubes.
        labels_dir: Folder of the labels, ``<stem>.png``; a cube without one has no label.
        glob: Suffixes of the cubes.
        label_output_key: Batch key of the labels.
        label_mode: ``rgb`` gives labels as uint8 [H, W, 3], ``label_map`` as uint8 [H, W].
    """

    images_dir: str = Field(min_length=1)
    labels_dir: str | None = None
    glob: NameList = Field(default_factory=lambda: ["tif", "tiff"])
    label_output_key: str = Field(default="label_rgb", min_length=1)
    label_mode: Literal["rgb", "label_map"] = "rgb"


def find_tiff_paired(doc: DataDocument, resolve: Resolve) -> tuple[Collection, TiffPairedParams]:
    """List the TIFFs of a folder, each one frame without an index.

    Batches have cube float32, wavelengths int32 (rounded nm) if known, stem, mesu_index and frame_id (its place among
    all files), and the label. Without selectors the train split is all of them, and there is no val or test.

    Raises:
        DataInvalid: No such files, or two of one stem.
        FileMissing: A folder is not there.
    """
    params = parse_params(TiffPairedParams, doc)
    images = existing_folder(resolve, params.images_dir, "images_dir")
    labels = None if params.labels_dir is None else existing_folder(resolve, params.labels_dir, "labels_dir")
    suffixes = {f".{suffix.removeprefix('*').lstrip('.').lower()}" for suffix in params.glob}
    files = sorted(file for file in images.iterdir() if file.suffix.lower() in suffixes)
    if not files:
        raise DataInvalid(f"images_dir '{params.images_dir}' holds no files that end with {sorted(suffixes)}")
    twice = sorted(stem for stem, count in Counter(file.stem for file in files).items() if count > 1)
    if twice:
        raise DataInvalid(f"images_dir '{params.images_dir}' holds several files of one stem: {', '.join(twice[:5])}")
    folder = posix(params.images_dir).rstrip("/")
    samples = ordered(
        Sample(f"{folder}/{file.name}", None, resolve(str(file)), annotation=_label(labels, file, resolve))
        for file in files
    )
    frames = _TiffFrames(params)
    collection = Collection(
        samples,
        frames,
        labels=frames.labels if labels else None,
        categories={"anomalous": 1} if params.label_mode == "rgb" else {},
        stages={"train": samples},
    )
    return collection, params


def _label(folder: Path | None, file: Path, resolve: Resolve) -> Path | None:
    label = None if folder is None else folder / f"{file.stem}.png"
    return resolve(str(label)) if label is not None and label.is_file() else None


@dataclass(frozen=True)
class _TiffFrames:
    params: TiffPairedParams

    def __call__(self, sample: Sample) -> Frame:
        scene = read_scene(sample.file, self.params.options(), name=sample.source)
        frame = {**frame_of(scene, sample), "stem": sample.stem, "mesu_index": sample.position}
        if sample.annotation is not None:
            mode = "RGB" if self.params.label_mode == "rgb" else "L"
            frame[self.params.label_output_key] = read_png(sample.annotation, mode, scene.size)
        return frame

    def labels(self, sample: Sample) -> frozenset[int]:
        if sample.annotation is None:
            return frozenset()
        values = np.unique(read_png(sample.annotation, "L"))
        if self.params.label_mode == "rgb":
            return frozenset({1}) if values.any() else frozenset()
        return frozenset(int(value) for value in values) - {0}
