"""``scene``: one scene file, whole or in tiles."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Extent, Frame, Resolve, Sample, ordered
from swath.engine.data.frames import frame_of, label_ids
from swath.engine.data.masks import read_mask
from swath.engine.data.params import WavelengthParams, existing_file, existing_folder, parse_params, posix
from swath.engine.data.splits import gives_stages
from swath.engine.data.tiles import Edge, check_regions, inside, tile_extents
from swath.errors import DataInvalid, InvalidInput
from swath.scenes import Scene, files_of, read_scene

logger = logging.getLogger(__name__)


def _square(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


_Pixels = Annotated[int, Field(ge=1)]
_Size = Annotated[tuple[_Pixels, _Pixels], BeforeValidator(_square)]


class Regions(BaseModel):
    """Rectangles by split, each [first row, end row, first column, end column]; the ends are not part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: list[Extent] = Field(default_factory=list)
    val: list[Extent] = Field(default_factory=list)
    test: list[Extent] = Field(default_factory=list)
    predict: list[Extent] = Field(default_factory=list)


class SceneParams(WavelengthParams):
    """Parameters of ``scene``.

    Attributes:
        path: The scene: any file that `swath.scenes` reads.
        mask_path: Ground truth in a file of its own: any of these but cu3s, or PNG.
        cube_key, mask_key, class_mask_key, wavelengths_key: Names of the arrays in npz and MAT files, their paths in
            HDF5 and zarr; without them the usual names are tried (`swath.scenes.USUAL_NAMES`).
        cube_axes: The axes of the cube in such files as they are stored: H rows, W columns, C bands.
        scale: What the stored numbers are multiplied by, in place of the file's own scale.
        drop_bad_bands: Leave out the bands that the file marks bad.
        tile: Rows and columns of a tile; one number for square ones. Without it the scene is one frame.
        stride: Rows and columns between tiles; the tile's size by default.
        edge: Tiles that do not fit at the end of a row or column: shifted inside, or dropped.
        regions: Rectangles by split. With tiles, a tile that lies fully inside one belongs to that split; without
            tiles each rectangle is a frame of its own. Train, val and test may share no pixel.
        measurement: Which frame of a file of several, from 0; by default the only one, or a cu3s recording's first.
        processing_mode: How a cu3s recording is processed.
    """

    path: str = Field(min_length=1)
    mask_path: str | None = None
    cube_key: str | None = None
    mask_key: str | None = None
    class_mask_key: str | None = None
    wavelengths_key: str | None = None
    cube_axes: str = "HWC"
    scale: float | None = Field(default=None, allow_inf_nan=False)
    drop_bad_bands: bool = False
    tile: _Size | None = None
    stride: _Size | None = None
    edge: Edge = "shift"
    regions: Regions | None = None
    measurement: int | None = Field(default=None, ge=0)
    processing_mode: Literal["Raw", "Reflectance", "DarkSubtract", "SpectralRadiance"] = "Reflectance"

    @model_validator(mode="after")
    def _stride_needs_tile(self) -> Self:
        if self.stride is not None and self.tile is None:
            raise ValueError("'stride' is the way from tile to tile and needs 'tile'")
        return self


def find_scene(doc: DataDocument, resolve: Resolve) -> tuple[Collection, SceneParams]:
    """List the frames of one scene.

    Frames are named by the scene's path as it is given and, as index, the tile's id (row by row from the top left, 0
    for a whole scene), so all selectors work on tiles. Without selectors and regions the train split is all of it, and
    there is no val or test. Batches have cube float32, mask int32 and class_mask uint8 if the file has them,
    wavelengths int32 [B, C] (rounded nm) if known, mesu_index (the tile's id) and frame_id int64.

    Raises:
        DataInvalid: The file or the tiling is not what it should be.
        InvalidInput: Both selectors and regions.
        FileMissing, DependencyMissing: See `swath.scenes`.
    """
    params = parse_params(SceneParams, doc)
    if params.regions is not None and gives_stages(doc):
        raise InvalidInput("data module 'scene': give the splits by 'splits' or by params.regions, not both")
    file = _resolved(resolve, params.path, "scene file")
    mask_file = None if params.mask_path is None else _resolved(resolve, params.mask_path, "mask file")
    frames = _SceneFrames(file, mask_file, params)
    size = frames.scene.size
    regions: dict[str, list[Extent]] = {} if params.regions is None else params.regions.model_dump()
    check_regions(regions, size)
    source = posix(params.path)
    samples = ordered(
        Sample(source, at, file, extent=extent) for at, extent in enumerate(_extents(params, regions, size))
    )
    stages = {
        split: tuple(sample for sample in samples if sample.extent and inside(sample.extent, rectangles))
        for split, rectangles in regions.items()
    }
    empty = [split for split, rectangles in regions.items() if rectangles and not stages[split]]
    if empty:
        raise DataInvalid(f"params.regions: no tile of {params.tile} lies fully inside those of {', '.join(empty)}")
    labelled = frames.scene.mask is not None or frames.scene.class_mask is not None
    collection = Collection(
        samples,
        frames,
        labels=frames.labels if labelled else None,
        categories={"anomalous": 1},
        stages=stages or {"train": samples},
    )
    return collection, params


def _resolved(resolve: Resolve, path: str, what: str) -> Path:
    if path.lower().rstrip("/").endswith(".zarr"):
        return existing_folder(resolve, path, what)
    file = existing_file(resolve, path, what)
    for other in files_of(file):
        resolve(str(other))  # the other file of an ENVI pair may be a link that leads out
    return file


def _extents(params: SceneParams, regions: dict[str, list[Extent]], size: tuple[int, int]) -> list[Extent]:
    if params.tile is not None:
        return tile_extents(size, params.tile, params.stride, params.edge)
    return [extent for listed in regions.values() for extent in listed] or [(0, size[0], 0, size[1])]


@dataclass
class _SceneFrames:
    """Reads frames of one scene, which each process opens once."""

    file: Path
    mask_file: Path | None
    params: SceneParams
    _scene: Scene | None = field(default=None, repr=False)

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            self._scene = self._open()
        return self._scene

    def __call__(self, sample: Sample) -> Frame:
        return frame_of(self.scene, sample)

    def labels(self, sample: Sample) -> frozenset[int]:
        return label_ids(self.scene.mask, self.scene.class_mask, sample.extent)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scene": None}

    def _open(self) -> Scene:
        params = self.params
        options = params.options(
            cube_key=params.cube_key,
            mask_key="" if self.mask_file else params.mask_key,
            class_mask_key=params.class_mask_key,
            wavelengths_key=params.wavelengths_key,
            cube_axes=params.cube_axes,
            scale=params.scale,
            drop_bad_bands=params.drop_bad_bands,
            processing_mode=params.processing_mode,
        )
        scene = read_scene(self.file, options, measurement=params.measurement, name=params.path)
        for note in scene.notes:
            logger.warning("%s: %s", params.path, note)
        if self.mask_file is not None:
            scene = replace(scene, mask=read_mask(self.mask_file, params.mask_key, name=params.mask_path))
        return scene
