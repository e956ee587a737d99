"""A scene as all readers give it, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swath.errors import DataInvalid, FileMissing, SwathError


@dataclass(frozen=True)
class Variables:
    """Names of the arrays in files that hold several (npz, MAT); None looks under the usual names.

    The usual names are cube or data, mask or map, class_mask, wavelengths or wavelength; a MAT or npz file with a
    single 3-D array needs no name for its cube.
    """

    cube: str | None = None
    mask: str | None = None
    class_mask: str | None = None
    wavelengths: str | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """One scene.

    Attributes:
        name: File name, for messages.
        cube: [H, W, C] in the file's own numbers, possibly mapped from the file.
        mask: int32 [H, W], ground truth, 0 is background; or None.
        class_mask: uint8 [H, W], category ids, 0 is background; or None.
        wavelengths: float64 [C] in nm; or None.
        scale: What stored numbers are multiplied by to get the file's quantity (ENVI's reflectance scale factor).

    Raises:
        DataInvalid: The parts do not fit together.
    """

    name: str
    cube: np.ndarray
    mask: np.ndarray | None = None
    class_mask: np.ndarray | None = None
    wavelengths: np.ndarray | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        cube = self.cube
        if cube.ndim != 3 or 0 in cube.shape:
            raise DataInvalid(f"{self.name}: cube: expected [rows, columns, bands], got shape {list(cube.shape)}")
        if cube.dtype.kind not in "buif":
            raise DataInvalid(f"{self.name}: cube: expected real numbers, got {cube.dtype}")
        for label, plane in (("mask", self.mask), ("class_mask", self.class_mask)):
            if plane is not None and plane.shape != self.size:
                raise DataInvalid(
                    f"{self.name}: {label}: expected the cube's {list(self.size)}, got shape {list(plane.shape)}"
                )
        if self.wavelengths is not None and self.wavelengths.shape != cube.shape[2:]:
            raise DataInvalid(
                f"{self.name}: wavelengths: expected one for each of {cube.shape[2]} bands, got {self.wavelengths.size}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.cube.shape[0], self.cube.shape[1]

    def crop(self, extent: tuple[int, int, int, int] | None = None, *, scale: float | None = None) -> np.ndarray:
        """Return a rectangle of the cube (None: all of it) as a new float32 array [h, w, C].

        Args:
            extent: First row, end row, first column, end column.
            scale: Overrides the scene's own.
        """
        top, bottom, left, right = extent or (0, self.size[0], 0, self.size[1])
        crop = np.array(self.cube[top:bottom, left:right], dtype=np.float32, order="C")
        factor = self.scale if scale is None else scale
        if factor != 1.0:
            crop *= np.float32(factor)
        return crop


def existing(path: Path) -> Path:
    """Return the path if a file is there, else raise FileMissing."""
    if not path.is_file():
        raise FileMissing(f"data file '{path.name}' does not exist")
    return path


@contextmanager
def parsing(name: str, what: str) -> Iterator[None]:
    """Turn whatever a parser runs into on damaged bytes into DataInvalid: they raise anything at all."""
    try:
        yield
    except (SwathError, MemoryError):
        raise
    except Exception as error:
        raise DataInvalid(f"{name}: not a readable {what}: {str(error) or type(error).__name__}") from error


def as_mask(name: str, label: str, array: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Return ground truth as whole numbers [H, W]; a single band may be an axis of its own."""
    plane = array
    if plane.ndim == 3 and 1 in (plane.shape[0], plane.shape[2]):
        plane = plane[..., 0] if plane.shape[2] == 1 else plane[0]
    if plane.ndim != 2 or plane.dtype.kind not in "buif":
        raise DataInvalid(f"{name}: {label}: expected numbers [rows, columns], got {array.dtype} {list(array.shape)}")
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    low, high = (plane.min(), plane.max()) if plane.size else (0, 0)
    if not (limits.min <= low and high <= limits.max):  # not a number fails here too
        raise DataInvalid(f"{name}: {label}: expected {limits.min} to {limits.max}, got {low} to {high}")
    whole = plane.astype(dtype)
    if plane.dtype.kind == "f" and not np.array_equal(whole, plane):
        raise DataInvalid(f"{name}: {label}: expected whole numbers, got fractions")
    return whole


def as_wavelengths(name: str, array: object) -> np.ndarray:
    """Return wavelengths as float64 [C]."""
    try:
        values = np.asarray(array).ravel().astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataInvalid(f"{name}: wavelengths: expected numbers, got {array!r:.80}") from error
    if not np.isfinite(values).all() or (values <= 0).any():
        raise DataInvalid(f"{name}: wavelengths: expected positive numbers in nm, got {values.min()} among them")
    return values


_USUAL = {
    "cube": ("cube", "data"),
    "mask": ("mask", "map"),
    "class_mask": ("class_mask",),
    "wavelengths": ("wavelengths", "wavelength"),
}


class Contents:
    """Arrays of a file by name, read when they are asked for."""

    def __init__(self, name: str, shapes: dict[str, tuple[int, ...]], load: Callable[[str], np.ndarray]) -> None:
        self.name = name
        self.shapes = shapes
        self._load = load

    def scene(self, variables: Variables) -> Scene:
        """Return the file as a scene."""
        cube = self._cube(variables.cube)
        mask = self.find("mask", variables.mask)
        class_mask = self.find("class_mask", variables.class_mask)
        wavelengths = self.find("wavelengths", variables.wavelengths)
        return Scene(
            self.name,
            self._load(cube),
            mask=None if mask is None else as_mask(self.name, mask, self._load(mask), np.int32),
            class_mask=None if class_mask is None else as_mask(self.name, class_mask, self._load(class_mask), np.uint8),
            wavelengths=None if wavelengths is None else as_wavelengths(self.name, self._load(wavelengths)),
        )

    def plane(self, variable: str | None) -> np.ndarray:
        """Return the file as ground truth: the variable, a usual name of a mask, or the only [H, W] array."""
        key = self.find("mask", variable) or self._only((2,), "mask")
        return as_mask(self.name, key, self._load(key), np.int32)

    def find(self, part: str, variable: str | None) -> str | None:
        """Return the name that a part has in this file, None where it has none."""
        if variable is not None:
            if variable not in self.shapes:
                raise DataInvalid(f"{self.name}: expected an array '{variable}' as {part}, got {self._listed()}")
            return variable
        return next((usual for usual in _USUAL[part] if usual in self.shapes), None)

    def _cube(self, variable: str | None) -> str:
        return self.find("cube", variable) or self._only((3,), "cube")

    def _only(self, ranks: Iterable[int], part: str) -> str:
        candidates = [key for key, shape in self.shapes.items() if len(shape) in ranks]
        if len(candidates) != 1:
            usual = " or ".join(f"'{name}'" for name in _USUAL[part])
            raise DataInvalid(f"{self.name}: expected an array {usual} as {part}, got {self._listed()}")
        return candidates[0]

    def _listed(self) -> str:
        return ", ".join(f"{key} {list(shape)}" for key, shape in self.shapes.items()) or "no arrays"
