"""A scene as all readers return it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swath.errors import DataInvalid


@dataclass(frozen=True)
class Variables:
    """Names of the arrays in files of several arrays (npz, MAT); None means the usual names.

    The usual names are cube or data, mask or map, class_mask, wavelengths or wavelength; a MAT or npz file with a
    single 3-D array needs no name for its cube.
    """

    cube: str | None = None
    mask: str | None = None
    class_mask: str | None = None
    wavelengths: str | None = None


@dataclass(frozen=True, eq=False)
class SceneData:
    """One scene.

    Attributes:
        name: File name, for messages.
        cube: [H, W, C] as stored, possibly mapped from the file.
        mask: int32 [H, W], ground truth, 0 is background; or None.
        class_mask: uint8 [H, W], category ids, 0 is background; or None.
        wavelengths: float64 [C] in nm; or None.
        scale: Factor from stored numbers to physical values (inverse of ENVI's reflectance scale factor).

    Raises:
        DataInvalid: The shapes of the parts do not match.
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
            scale: Overrides the scale of the scene.
        """
        top, bottom, left, right = extent or (0, self.size[0], 0, self.size[1])
        crop = np.array(self.cube[top:bottom, left:right], dtype=np.float32, order="C")
        factor = self.scale if scale is None else scale
        if factor != 1.0:
            crop *= np.float32(factor)
        return crop
