"""Files of named arrays (npz, MAT, HDF5, zarr): which array is the cube, the mask, the wavelengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import as_mask, as_text
from swath.scenes.draft import Draft
from swath.scenes.metadata import numbers_of_attributes
from swath.scenes.options import USUAL_NAMES, Options
from swath.scenes.wavelengths import Stored

_MOST_LISTED = 40
_SECONDARY = {name for part in ("mask", "class_mask", "wavelengths") for name in USUAL_NAMES[part]}


@dataclass(frozen=True)
class Entry:
    """One array of a file.

    Attributes:
        shape: Its shape.
        numbers: Whether it holds real numbers.
        attributes: What is said of it, by name (HDF5, zarr).
    """

    shape: tuple[int, ...]
    numbers: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)


class ArrayFile:
    """Arrays of a file by name, read on demand.

    Args:
        name: The file, for messages.
        entries: Its arrays by name; in files with folders, by path.
        load: Reads one.
        notes: What a user should know about the file.
    """

    def __init__(
        self, name: str, entries: Mapping[str, Entry], load: Callable[[str], np.ndarray], notes: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.entries = entries
        self._load = load
        self._notes = tuple(notes)

    def drafts(self, options: Options) -> Iterator[Draft]:
        """Return the frames of the file."""
        key = self._cube(options.cube_key)
        cube = self._ordered(key, self._load(key), options.cube_axes)
        stack = cube if cube.ndim == 4 else cube[None]
        if not len(stack):
            raise DataInvalid(f"{self.name}: '{key}': expected at least one frame, got shape {list(cube.shape)}")
        turned = options.cube_axes.upper().index("W") < options.cube_axes.upper().index("H")
        mask = self._planes("mask", options.mask_key, key, stack.shape[:3], turned)
        class_mask = self._planes("class_mask", options.class_mask_key, key, stack.shape[:3], turned)
        said = numbers_of_attributes(self.name, self.entries[key].attributes, cube)
        wavelengths = self._wavelengths(options, key, stack.shape[-1]) if options.wavelengths is None else None
        for number, frame in enumerate(stack):
            yield Draft(
                frame,
                number=number if cube.ndim == 4 else None,
                mask=None if mask is None else as_mask(self.name, mask[0], mask[1][number], np.int32),
                class_mask=None
                if class_mask is None
                else as_mask(self.name, class_mask[0], class_mask[1][number], np.uint8),
                wavelengths=wavelengths,
                scale=said.scale,
                offset=said.offset,
                ignore_value=said.ignore_value,
                bad_bands=said.bad_bands,
                notes=(*self._notes, *said.notes),
            )

    def plane(self, variable: str | None) -> np.ndarray:
        """Return the file as ground truth: the given array, that of a usual name, or the only [H, W] array."""
        key = variable and self._named("mask", variable)
        if not key:
            planes = [each for each, entry in self.entries.items() if entry.numbers and len(entry.shape) == 2]
            usual = [
                each
                for each, entry in self.entries.items()
                if self._is_usual("mask", each) and len(entry.shape) in (2, 3)
            ]
            key = _first(usual, USUAL_NAMES["mask"]) or (planes[0] if len(planes) == 1 else None)
        if not key:
            raise DataInvalid(
                f"{self.name}: expected {_usual('mask')} as mask, got {self._listed()}; name it by mask_key"
            )
        return as_mask(self.name, key, self._load(key), np.int32)

    def find(self, part: str) -> str | None:
        """Return the array of a part's usual name, None if the file has none; of masks those that may be planes."""
        usual = [key for key in self.entries if self._is_usual(part, key)]
        if part in ("mask", "class_mask"):
            usual = [key for key in usual if len(self.entries[key].shape) in (2, 3)]
        return _first(usual, USUAL_NAMES[part])

    def _named(self, part: str, variable: str) -> str:
        for key in (variable, variable.strip("/")):
            if key in self.entries:
                return key
        raise DataInvalid(f"{self.name}: expected an array '{variable}' as {part}, got {self._listed()}")

    def _cube(self, variable: str | None) -> str:
        if variable:
            return self._named("cube", variable)
        cubes = [key for key, entry in self.entries.items() if entry.numbers and len(entry.shape) in (3, 4)]
        for name in USUAL_NAMES["cube"]:
            named = [key for key in cubes if _last(key) == name]
            if len(named) == 1:
                return named[0]
            if named:
                raise self._undecided(named)
        others = [key for key in cubes if len(self.entries[key].shape) == 3 and _last(key) not in _SECONDARY]
        if len(others) == 1:
            return others[0]
        if others:
            raise self._undecided(others)
        flat = self.find("cube")
        if flat is not None:
            return flat  # what is wrong with it is said where its shape and type are checked
        raise DataInvalid(f"{self.name}: expected a cube [rows, columns, bands], got {self._listed()}")

    def _undecided(self, keys: list[str]) -> DataInvalid:
        shown = ", ".join(f"{key} {list(self.entries[key].shape)}" for key in keys)
        return DataInvalid(
            f"{self.name}: several arrays could be the cube: {shown}; choose one by cube_key "
            "(+data.params.cube_key in training, --cube-key of swath infer)"
        )

    def _ordered(self, key: str, cube: np.ndarray, axes: str) -> np.ndarray:
        if cube.ndim not in (3, 4):
            return cube
        order = [axes.upper().index(axis) for axis in "HWC"]
        return cube.transpose([0, *(each + 1 for each in order)] if cube.ndim == 4 else order)

    def _planes(
        self, part: str, variable: str | None, cube: str, shape: tuple[int, ...], turned: bool
    ) -> tuple[str, np.ndarray] | None:
        """Return name and planes, one for each frame, of a mask; None if the file has none.

        Args:
            part: Which mask.
            variable: Its name, if the caller says one; empty for none.
            cube: The cube's name.
            shape: Frames, rows and columns of the cube.
            turned: Whether the file has columns before rows, in the mask as in the cube.
        """
        if variable == "":
            return None
        if variable is not None:
            key: str | None = self._named(part, variable)
        else:
            fitting = [each for each in self._beside(part, cube) if len(self.entries[each].shape) in (2, 3)]
            key = _first(fitting, USUAL_NAMES[part])
        if key is None:
            return None
        planes = self._load(key)
        if turned and planes.ndim >= 2:
            planes = planes.swapaxes(0, 1) if planes.ndim == 2 or planes.shape[-1] == 1 else planes.swapaxes(1, 2)
        frames, size = shape[0], list(shape[1:])
        if list(planes.shape) == [frames, *size]:
            return key, planes
        squeezed = planes[..., 0] if planes.ndim == 3 and planes.shape[2] == 1 else planes
        squeezed = squeezed[0] if squeezed.ndim == 3 and squeezed.shape[0] == 1 else squeezed
        if list(squeezed.shape) != size:
            raise DataInvalid(
                f"{self.name}: {part}: expected the cube's {size}, got '{key}' of shape {list(planes.shape)}; "
                f"name another by {part}_key, or none by an empty {part}_key"
            )
        return key, np.broadcast_to(squeezed, (frames, *squeezed.shape))

    def _wavelengths(self, options: Options, cube: str, bands: int) -> Stored | None:
        if options.wavelengths_key:
            key: str | None = self._named("wavelengths", options.wavelengths_key)
        else:
            found = [each for each in self._beside("wavelengths", cube) if self._may_be_wavelengths(each, bands)]
            key = _first(found, USUAL_NAMES["wavelengths"])
        if key is None:
            said = {name.lower(): value for name, value in self.entries[cube].attributes.items()}
            values = next((said[name] for name in ("wavelength", "wavelengths") if name in said), None)
            unit = next((as_text(said[name]) for name in USUAL_NAMES["wavelength_units"] if name in said), None)
            return None if values is None else Stored(values, unit)
        return Stored(self._load(key), self._unit(key, cube))

    def _may_be_wavelengths(self, key: str, bands: int) -> bool:
        # An array "bands" often counts the bands, or names them.
        return _last(key) not in ("bands", "lambda") or (
            self.entries[key].numbers and int(np.prod(self.entries[key].shape)) == bands
        )

    def _unit(self, key: str, cube: str) -> str | None:
        attributes = {name.lower(): value for name, value in self.entries[key].attributes.items()}
        for name in ("units", "unit", *USUAL_NAMES["wavelength_units"]):
            if name in attributes:
                return as_text(attributes[name])
        companion = _first(self._beside("wavelength_units", cube), USUAL_NAMES["wavelength_units"])
        if companion is not None:
            return as_text(self._load(companion))
        return "nm" if _last(key).endswith("_nm") else None

    def _beside(self, part: str, cube: str) -> list[str]:
        """Return the arrays of a usual name, those of the cube's own folder or else those next above it."""
        usual = [key for key in self.entries if self._is_usual(part, key)]
        folder = cube.rpartition("/")[0]
        while usual:
            here = [key for key in usual if key.rpartition("/")[0] == folder]
            if here or not folder:
                return here or (usual if len(usual) == 1 else [])
            folder = folder.rpartition("/")[0]
        return []

    def _is_usual(self, part: str, key: str) -> bool:
        return _last(key) in USUAL_NAMES[part]

    def _listed(self) -> str:
        shown = [f"{key} {list(entry.shape)}" for key, entry in islice(self.entries.items(), _MOST_LISTED)]
        more = len(self.entries) - len(shown)
        return ", ".join([*shown, *([f"and {more} more"] if more else [])]) or "no arrays"


def _last(key: str) -> str:
    return key.rpartition("/")[2].lower()


def _first(keys: list[str], names: Sequence[str]) -> str | None:
    return next((key for name in names for key in keys if _last(key) == name), None)


def _usual(part: str) -> str:
    return "an array " + " or ".join(f"'{name}'" for name in USUAL_NAMES[part])
