"""A scene as all readers return it: one frame, its bands, and what is known of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from swath.errors import DataInvalid
from swath.scenes.georeference import Georeference

_BLOCK_BYTES = 32 * 1024 * 1024
# A fill value such as -3.402823e38 is written with too few digits to be met exactly.
_HUGE, _HUGE_TOLERANCE = 1e30, 1e-5

Extent = tuple[int, int, int, int]
"""First row, end row, first column, end column."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One hyperspectral frame.

    Attributes:
        name: File name without suffix, with the frame's number where the file holds several.
        cube: [H, W, C] as stored, possibly mapped from the file.
        wavelengths: float64 [C] in nm; or None.
        mask: int32 [H, W], ground truth, 0 is background; or None.
        class_mask: uint8 [H, W], category ids, 0 is background; or None.
        scale, offset: What makes physical values of stored numbers, ``stored * scale + offset``: a number, or [C].
        ignore_value: The stored number that means "no value"; or None.
        bad_bands: bool [C], True for bands that the file marks bad; None where it marks none.
        georeference: Where the scene lies on the map; or None.
        notes: What a user should know about the file.
        file: The file, for messages; the name by default.

    Raises:
        DataInvalid: The shapes of the parts do not match.
    """

    name: str
    cube: NDArray[Any]
    wavelengths: NDArray[np.float64] | None = None
    mask: NDArray[Any] | None = None
    class_mask: NDArray[Any] | None = None
    scale: float | NDArray[np.float64] = 1.0
    offset: float | NDArray[np.float64] = 0.0
    ignore_value: float | None = None
    bad_bands: NDArray[np.bool_] | None = None
    georeference: Georeference | None = None
    notes: tuple[str, ...] = ()
    file: str = ""

    def __post_init__(self) -> None:
        cube, file = self.cube, self.file or self.name
        if cube.ndim != 3 or 0 in cube.shape:
            raise DataInvalid(f"{file}: cube: expected [rows, columns, bands], got shape {list(cube.shape)}")
        if cube.dtype.kind not in "buif":
            raise DataInvalid(f"{file}: cube: expected real numbers, got {cube.dtype}")
        for label, plane in (("mask", self.mask), ("class_mask", self.class_mask)):
            if plane is not None and plane.shape != self.size:
                raise DataInvalid(
                    f"{file}: {label}: expected the cube's {list(self.size)}, got shape {list(plane.shape)}"
                )
        for label, each in (("wavelengths", self.wavelengths), ("bad bands", self.bad_bands)):
            if each is not None and each.shape != cube.shape[2:]:
                raise DataInvalid(f"{file}: {label}: expected one for each of {cube.shape[2]} bands, got {each.size}")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.cube.shape[0], self.cube.shape[1]

    @property
    def whole_wavelengths(self) -> NDArray[np.int32] | None:
        """Wavelengths int32 [C], rounded to whole nm as the data nodes' ports want them."""
        return None if self.wavelengths is None else np.rint(self.wavelengths).astype(np.int32)

    @cached_property
    def valid(self) -> NDArray[np.bool_] | None:
        """bool [H, W], False for invalid pixels; None where all are valid.

        A pixel is invalid if one of its bands that are not marked bad holds the ignore value or is not finite.
        """
        if self.ignore_value is None and self.cube.dtype.kind != "f":
            return None
        valid = np.ones(self.size, dtype=bool)
        for rows in self._blocks():
            stored = self.cube[rows]
            holes = self._holes(stored, _as_float32(stored))
            if holes is not None:
                valid[rows] = ~holes
        return None if valid.all() else valid

    def values(self) -> NDArray[np.float32]:
        """Return the physical values of all pixels, float32 [H, W, C]; NaN in all bands of invalid pixels."""
        return self.crop()

    def crop(self, extent: Extent | None = None) -> NDArray[np.float32]:
        """Return the physical values of a rectangle (None: all of it) as a new array, float32 [h, w, C].

        Invalid pixels are NaN in all bands.
        """
        top, bottom, left, right = extent or (0, self.size[0], 0, self.size[1])
        stored = self.cube[top:bottom, left:right]
        crop = _as_float32(stored)
        holes = self._holes(stored, crop)
        # In float64, piece by piece: 1 / 10000 is no float32, and 1234 / 10000 shall be the nearest one.
        with np.errstate(over="ignore", invalid="ignore"):
            if not _is(self.offset, 0.0):
                for line, physical in zip(stored, crop, strict=True):
                    physical[...] = line.astype(np.float64) * self.scale + self.offset
            elif not _is(self.scale, 1.0):
                np.multiply(stored, self.scale, out=crop, dtype=np.float64, casting="same_kind")
        if holes is not None:
            crop[holes] = np.nan
        return crop

    def inputs(self) -> dict[str, Any]:
        """The scene as inputs of an inference: a batch of one, with the very numbers that a training sees.

        Returns:
            cube [1, H, W, C], float32 as of `values`, or as stored where that is uint8 or uint16 and the same numbers;
            wavelengths int32 [1, C] in whole nm, or None.
        """
        return {"cube": self.rows(0, self.size[0])[None], **self.other_inputs()}

    def other_inputs(self) -> dict[str, Any]:
        """The `inputs` beside the cube."""
        nm = self.whole_wavelengths
        return {"wavelengths": None if nm is None else nm[None]}

    @property
    def sent_dtype(self) -> np.dtype[Any]:
        """Element type of the cube among the `inputs`."""
        return self.cube.dtype.newbyteorder("=") if self._as_stored else np.dtype(np.float32)

    def rows(self, first: int, end: int) -> NDArray[Any]:
        """Return some rows of the cube among the `inputs`, [end - first, W, C], reading no others of a mapped file."""
        if self._as_stored:
            return np.ascontiguousarray(self.cube[first:end], dtype=self.sent_dtype)
        return self.crop((first, end, 0, self.size[1]))

    def without_bad_bands(self) -> Self:
        """Return the scene without the bands that are marked bad.

        Raises:
            DataInvalid: All are.
        """
        if self.bad_bands is None:
            return self
        keep = np.flatnonzero(~self.bad_bands)
        if keep.size == 0:
            raise DataInvalid(f"{self.file or self.name}: all {self.bad_bands.size} bands are marked bad")
        run = keep[-1] - keep[0] + 1 == keep.size
        chosen: Any = slice(keep[0], keep[-1] + 1) if run else keep  # a run of bands stays mapped
        dropped = ", ".join(str(band + 1) for band in np.flatnonzero(self.bad_bands))
        return replace(
            self,
            cube=self.cube[..., chosen],
            wavelengths=None if self.wavelengths is None else self.wavelengths[keep],
            scale=self.scale[keep] if isinstance(self.scale, np.ndarray) else self.scale,
            offset=self.offset[keep] if isinstance(self.offset, np.ndarray) else self.offset,
            bad_bands=None,
            notes=(*self.notes, f"left out {self.bad_bands.size - keep.size} bands that are marked bad: {dropped}"),
        )

    @cached_property
    def _as_stored(self) -> bool:
        small = self.cube.dtype.kind == "u" and self.cube.dtype.itemsize <= 2
        return small and _is(self.scale, 1.0) and _is(self.offset, 0.0) and self.valid is None

    def _holes(self, stored: NDArray[Any], converted: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Return invalid pixels, bool [h, w]; None where there are none."""
        gone: NDArray[np.bool_] | None = None
        if self.ignore_value is not None:
            gone = _equals(stored, self.ignore_value)
        if stored.dtype.kind == "f":
            with np.errstate(all="ignore"):
                all_finite = bool(np.isfinite(converted.sum()))  # one pass, nothing allocated: nearly all cubes are
            if not all_finite:
                infinite = ~np.isfinite(converted)
                gone = infinite if gone is None else gone | infinite
        if gone is None:
            return None
        if self.bad_bands is not None:
            gone = gone[..., ~self.bad_bands]
        holes: NDArray[np.bool_] = np.asarray(gone.any(axis=-1))
        return holes if holes.any() else None

    def _blocks(self) -> Iterator[slice]:
        rows = max(1, _BLOCK_BYTES // (self.cube.shape[1] * self.cube.shape[2] * 4))
        for first in range(0, self.size[0], rows):
            yield slice(first, first + rows)


def _as_float32(stored: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 does not hold is infinite, so invalid
        return np.array(stored, dtype=np.float32, order="C")


def _equals(stored: NDArray[Any], value: float) -> NDArray[np.bool_] | None:
    if stored.dtype.kind == "f" and abs(value) > _HUGE:
        with np.errstate(all="ignore"):
            return np.abs(stored - value) <= abs(value) * _HUGE_TOLERANCE
    if stored.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return stored == stored.dtype.type(value)
    if not representable(value, stored.dtype):
        return None
    return stored == stored.dtype.type(value)


def representable(value: float, dtype: np.dtype) -> bool:
    """Return whether numbers of a type can have a finite value; the largest ones may be written with few digits."""
    if dtype.kind == "b":
        return value in (0, 1)
    if dtype.kind == "f":
        return abs(value) <= float(np.finfo(dtype).max) * (1 + _HUGE_TOLERANCE)
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max and value == int(value)


def _is(factor: float | NDArray[np.float64], neutral: float) -> bool:
    return not isinstance(factor, np.ndarray) and factor == neutral
