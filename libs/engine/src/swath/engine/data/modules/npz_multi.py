"""``npz_multi``: one .npz file per frame, listed by a universe.csv."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Frame, Resolve, Sample, ordered
from swath.engine.data.frames import frame_of, label_ids
from swath.engine.data.modules.universe import read_universe
from swath.engine.data.params import WavelengthParams, parse_params
from swath.errors import DataInvalid
from swath.scenes import read_scene
from swath.scenes.readers.npz import npz_arrays


class NpzMultiParams(WavelengthParams):
    """Parameters of ``npz_multi``.

    Attributes:
        universe_csv: The list of frames; see `swath.engine.data.modules.universe.read_universe`.
    """

    universe_csv: str = Field(min_length=1)


def find_npz_multi(doc: DataDocument, resolve: Resolve) -> tuple[Collection, NpzMultiParams]:
    """List the frames of a universe of .npz files.

    A file holds cube [H, W, C], and may hold wavelengths [C], mask [H, W] and class_mask [H, W]. Batches have cube
    float32, mask int32 and class_mask uint8 (zeros where a file has none), wavelengths int32 (rounded nm) if known,
    mesu_index (the row's index) and frame_id int64.

    Raises:
        DataInvalid: No splits, or a universe that is not one.
        FileMissing: The universe is not there.
    """
    params = parse_params(NpzMultiParams, doc)
    if doc.splits is None:
        raise DataInvalid("data module 'npz_multi' needs 'splits': which frames are for train, val and test")
    rows = read_universe(params.universe_csv, resolve, own_files=True)
    samples = ordered(Sample(row.source, row.index, row.file) for row in rows)
    frames = _NpzFrames(params)
    return Collection(samples, frames, labels=frames.labels, categories={"anomalous": 1}), params


@dataclass(frozen=True)
class _NpzFrames:
    params: NpzMultiParams

    def __call__(self, sample: Sample) -> Frame:
        scene = read_scene(sample.file, self.params.options(), name=_shown(sample))
        return frame_of(scene, sample, blank_labels=True)

    def labels(self, sample: Sample) -> frozenset[int]:
        contents = npz_arrays(sample.file, _shown(sample))
        key = contents.find("class_mask") or contents.find("mask")
        return label_ids(None if key is None else contents.plane(key), None, None)


def _shown(sample: Sample) -> str:
    return f"{sample.uid} ({sample.file.name})"
