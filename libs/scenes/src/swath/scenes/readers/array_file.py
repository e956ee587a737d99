"""Files of named arrays (npz, MAT)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import as_mask, as_wavelengths
from swath.scenes.scene import SceneData, Variables

_USUAL = {
    "cube": ("cube", "data"),
    "mask": ("mask", "map"),
    "class_mask": ("class_mask",),
    "wavelengths": ("wavelengths", "wavelength"),
}


class ArrayFile:
    """Arrays of a file by name, read on demand."""

    def __init__(self, name: str, shapes: dict[str, tuple[int, ...]], load: Callable[[str], np.ndarray]) -> None:
        self.name = name
        self.shapes = shapes
        self._load = load

    def scene(self, variables: Variables) -> SceneData:
        """Return the file as a scene."""
        cube = self._cube(variables.cube)
        mask = self.find("mask", variables.mask)
        class_mask = self.find("class_mask", variables.class_mask)
        wavelengths = self.find("wavelengths", variables.wavelengths)
        return SceneData(
            self.name,
            self._load(cube),
            mask=None if mask is None else as_mask(self.name, mask, self._load(mask), np.int32),
            class_mask=None if class_mask is None else as_mask(self.name, class_mask, self._load(class_mask), np.uint8),
            wavelengths=None if wavelengths is None else as_wavelengths(self.name, self._load(wavelengths)),
        )

    def plane(self, variable: str | None) -> np.ndarray:
        """Return the file as ground truth: the given array, that of a usual name, or the only [H, W] array."""
        key = self.find("mask", variable) or self._only((2,), "mask")
        return as_mask(self.name, key, self._load(key), np.int32)

    def find(self, part: str, variable: str | None) -> str | None:
        """Return the name of a part in this file, None if it has no such part."""
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
