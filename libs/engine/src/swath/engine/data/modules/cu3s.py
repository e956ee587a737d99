"""``cu3s`` and ``cu3s_multi``: recordings of Cubert cameras, read by the vendor's SDK."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from swath.documents import DataDocument
from swath.engine.data.coco import Annotations
from swath.engine.data.collection import Collection, Frame, Resolve, Sample, ordered
from swath.engine.data.frames import frame_of
from swath.engine.data.modules.universe import read_universe
from swath.engine.data.params import LoaderParams, NameList, existing_file, existing_folder, parse_params, posix
from swath.engine.data.splits import gives_stages
from swath.errors import DataInvalid
from swath.scenes import Options, Recording
from swath.scenes.readers.cu3s import sdk


def _numbers(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class _RecordingParams(LoaderParams):
    """Parameters that both modules share.

    Attributes:
        processing_mode: What is read from a recording.
        max_open_sessions: Recordings that are open at once in one process; each holds memory of the SDK.
        read_threads, read_ahead, sdk_cuda, cuda_cubes: Hints about speed that other servers take; frames are the same
            whatever they say.
    """

    processing_mode: Literal["Raw", "Reflectance", "DarkSubtract", "SpectralRadiance"] = "Reflectance"
    max_open_sessions: int = Field(default=4, ge=1)
    read_threads: int = Field(default=0, ge=0)
    read_ahead: int = Field(default=0, ge=0)
    sdk_cuda: bool = True
    cuda_cubes: bool = False


class Cu3sParams(_RecordingParams):
    """Parameters of ``cu3s``: one recording, a list of them, or a folder.

    Attributes:
        cu3s_file_path: The recording; each measurement is a frame.
        annotation_json_path: Its labels in COCO format; by default the .json beside it, if there is one.
        measurement_indices: Which measurements of it; all by default.
        files: Recordings, in place of one.
        data_dir: Folder of recordings, in place of a list.
        frames: With several recordings: ``file`` takes the first measurement of each, ``measurements`` all.
        recursive: Whether folders within the folder count.
    """

    cu3s_file_path: str | None = None
    annotation_json_path: str | None = None
    measurement_indices: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_numbers)] | None = None
    files: NameList = Field(default_factory=list)
    data_dir: str | None = None
    frames: Literal["file", "measurements"] = "file"
    recursive: bool = False

    @model_validator(mode="after")
    def _some_source(self) -> Self:
        if not (self.cu3s_file_path or self.files or self.data_dir):
            raise ValueError("give 'cu3s_file_path', 'files' or 'data_dir'")
        return self


class Cu3sMultiParams(_RecordingParams):
    """Parameters of ``cu3s_multi``.

    Attributes:
        universe_csv: The list of frames; see `swath.engine.data.modules.universe.read_universe`.
        split: The rows of the universe's split column that are the predict split; test by default.
    """

    universe_csv: str = Field(min_length=1)
    split: Literal["train", "val", "test", "predict", "all"] = "test"


def find_cu3s(doc: DataDocument, resolve: Resolve) -> tuple[Collection, Cu3sParams]:
    """List the measurements of recordings; without selectors there is a predict split only, of all of them.

    Batches have cube float32, mask int32 (category ids; zeros without labels), wavelengths int32 (rounded nm),
    mesu_index (the measurement) and frame_id int64.

    Raises:
        DataInvalid, FileMissing: As `swath.scenes`.
        DependencyMissing: The SDK is not installed.
    """
    params = parse_params(Cu3sParams, doc)
    sdk()
    samples = ordered(_measurements(params, resolve))
    return _collection(samples, params), params


def find_cu3s_multi(doc: DataDocument, resolve: Resolve) -> tuple[Collection, Cu3sMultiParams]:
    """List the rows of a universe of recordings; its split column counts where the document has no selectors.

    Raises:
        DataInvalid, FileMissing: A universe that is not one.
        DependencyMissing: The SDK is not installed.
    """
    params = parse_params(Cu3sMultiParams, doc)
    sdk()
    rows = read_universe(params.universe_csv, resolve, own_files=False)
    splits = {(row.source, row.index): row.split for row in rows}
    samples = ordered(Sample(row.source, row.index, row.file, row.annotation) for row in rows)
    stages: dict[str, tuple[Sample, ...]] = {}
    if any(splits.values()) and not gives_stages(doc):
        named = {split: _with_split(samples, splits, {split}) for split in ("train", "val", "test", "predict")}
        chosen = set(splits.values()) if params.split == "all" else {params.split}
        stages = {**named, "predict": named["predict"] or _with_split(samples, splits, chosen)}
    return _collection(samples, params, stages), params


def _with_split(samples: Iterable[Sample], splits: dict[tuple[str, int], str], wanted: set[str]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if splits[sample.source, sample.index or 0] in wanted)


def _collection(
    samples: tuple[Sample, ...], params: _RecordingParams, stages: dict[str, tuple[Sample, ...]] | None = None
) -> Collection:
    frames = _Recordings(params.processing_mode, params.max_open_sessions)
    annotated = next((sample.annotation for sample in samples if sample.annotation), None)
    categories = frames.annotations(annotated).categories if annotated else {}
    return Collection(samples, frames, labels=frames.labels, categories=categories, stages=stages or {})


def _measurements(params: Cu3sParams, resolve: Resolve) -> Iterable[Sample]:
    if params.cu3s_file_path:
        file = _recording(resolve, params.cu3s_file_path)
        if params.annotation_json_path:
            labels = existing_file(resolve, params.annotation_json_path, "annotation_json_path")
        else:
            labels = _sibling(file, resolve)
        wanted = params.measurement_indices
        numbers = range(_count(file)) if wanted is None else sorted(set(wanted))
        return [Sample(posix(params.cu3s_file_path), number, file, labels) for number in numbers]
    if params.files:
        sources = {posix(path): _recording(resolve, path) for path in params.files}
    else:
        folder = existing_folder(resolve, params.data_dir or "", "data_dir")
        found = folder.rglob("*.cu3s") if params.recursive else folder.glob("*.cu3s")
        root = posix(params.data_dir or "").rstrip("/")
        sources = {f"{root}/{file.relative_to(folder).as_posix()}": resolve(str(file)) for file in found}
        if not sources:
            raise DataInvalid(f"data_dir '{params.data_dir}' holds no .cu3s files")
    return [
        Sample(source, number, file, _sibling(file, resolve))
        for source, file in sources.items()
        for number in range(_count(file) if params.frames == "measurements" else 1)
    ]


def _recording(resolve: Resolve, path: str) -> Path:
    if not path.endswith(".cu3s"):
        raise DataInvalid(f"expected a file that ends with .cu3s, got '{path}'")
    return existing_file(resolve, path, "recording")


def _sibling(file: Path, resolve: Resolve) -> Path | None:
    labels = file.with_suffix(".json")
    return resolve(str(labels)) if labels.is_file() else None


def _count(file: Path) -> int:
    recording = Recording(file, Options(processing_mode="Raw"))  # which takes no references
    try:
        return len(recording)
    finally:
        recording.close()


@dataclass
class _Recordings:
    """Reads measurements; recordings and labels stay open, in each process that reads."""

    processing_mode: str
    max_open: int
    _open: OrderedDict[Path, Recording] = field(default_factory=OrderedDict, repr=False)
    _annotations: dict[Path, Annotations] = field(default_factory=dict, repr=False)

    def __call__(self, sample: Sample) -> Frame:
        number = sample.index or 0
        scene = self._recording(sample.file).read(number)
        frame = frame_of(scene, sample)
        if sample.annotation is None:
            return {**frame, "mask": np.zeros(scene.size, np.int32)}
        return {**frame, "mask": self.annotations(sample.annotation).mask(number, scene.size)}

    def labels(self, sample: Sample) -> frozenset[int]:
        return frozenset() if sample.annotation is None else self.annotations(sample.annotation).ids(sample.index or 0)

    def annotations(self, path: Path) -> Annotations:
        if path not in self._annotations:
            self._annotations[path] = Annotations(path)
        return self._annotations[path]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict(), "_annotations": {}}

    def _recording(self, path: Path) -> Recording:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        while len(self._open) >= self.max_open:
            self._open.popitem(last=False)[1].close()
        self._open[path] = Recording(path, Options(processing_mode=self.processing_mode))
        return self._open[path]
