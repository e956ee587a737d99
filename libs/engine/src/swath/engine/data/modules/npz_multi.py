"""``npz_multi``: one .npz file per frame, listed by a universe.csv."""

from __future__ import annotations

from pydantic import Field

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Frame, Resolve, Sample, ordered
from swath.engine.data.frames import frame_of, label_ids
from swath.engine.data.modules.universe import read_universe
from swath.engine.data.params import LoaderParams, parse_params
from swath.errors import DataInvalid
from swath.scenes.readers import Variables
from swath.scenes.readers.npz import npz_arrays


class NpzMultiParams(LoaderParams):
    """Parameters of ``npz_multi``.

    Attributes:
        universe_csv: The list of frames; see `swath.engine.data.modules.universe.read_universe`.
    """

    universe_csv: str = Field(min_length=1)


def find_npz_multi(doc: DataDocument, resolve: Resolve) -> tuple[Collection, NpzMultiParams]:
    """List the frames of a universe of .npz files.

    A file holds cube [H, W, C] and wavelengths [C] in nm, and may hold mask [H, W] and class_mask [H, W]. Batches have
    cube float32, mask int32 and class_mask uint8 (zeros where a file has none), wavelengths int32 (rounded),
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
    return Collection(samples, _read, labels=_labels, categories={"anomalous": 1}), params


def _read(sample: Sample) -> Frame:
    contents = npz_arrays(sample.file, name=f"{sample.uid} ({sample.file.name})")
    variables = Variables(
        cube="cube",
        mask="mask" if "mask" in contents.shapes else None,
        class_mask="class_mask" if "class_mask" in contents.shapes else None,
        wavelengths="wavelengths",
    )
    return frame_of(contents.scene(variables), sample, blank_labels=True)


def _labels(sample: Sample) -> frozenset[int]:
    contents = npz_arrays(sample.file, name=f"{sample.uid} ({sample.file.name})")
    key = next((key for key in ("class_mask", "mask") if key in contents.shapes), None)
    return label_ids(None if key is None else contents.plane(key), None, None)
