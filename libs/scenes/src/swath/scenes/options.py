"""What a caller may say about a file, and the usual names of what files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

PROCESSING_MODES = ("Raw", "Reflectance", "DarkSubtract", "SpectralRadiance")
"""What can be read from a cu3s recording, by the names of cuvis_ai.v1's ProcessingMode."""

USUAL_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cube": ("cube", "data", "image", "img", "hsi", "hypercube"),
        "mask": ("mask", "map", "gt", "groundtruth", "ground_truth", "labels", "label"),
        "class_mask": ("class_mask", "classes"),
        "wavelengths": ("wavelengths", "wavelength", "wl", "wavelength_nm", "wavelengths_nm", "lambda", "bands"),
        "wavelength_units": (
            "wavelength_units",
            "wavelengths_units",
            "wavelength_unit",
            "wavelengths_unit",
            "wl_units",
            "wl_unit",
        ),
    }
)
"""Names of arrays in files of several (npz, MAT, HDF5, zarr), in the order they are tried; case does not count."""


@dataclass(frozen=True)
class Options:
    """How to read a file; nothing needs to be said.

    Attributes:
        cube_key, mask_key, class_mask_key, wavelengths_key: Names of arrays in npz and MAT files, paths of them in HDF5
            and zarr. Without them the usual names are tried (`USUAL_NAMES`); the only array of three dimensions needs
            no name to be the cube. An empty mask_key or class_mask_key means none.
        cube_axes: What the axes of the cube in npz, MAT, HDF5 and zarr are, as they are stored: H rows, W columns,
            C bands.
        wavelengths: In place of the file's own, which then are not judged.
        wavelength_units: Unit of the wavelengths, whatever the file says.
        scale: What stored numbers are multiplied by, in place of the file's own scale and offset.
        drop_bad_bands: Leave out the bands that the file marks bad.
        processing_mode: How a cu3s recording is processed, one of `PROCESSING_MODES`.
    """

    cube_key: str | None = None
    mask_key: str | None = None
    class_mask_key: str | None = None
    wavelengths_key: str | None = None
    cube_axes: str = "HWC"
    wavelengths: Sequence[float] | None = None
    wavelength_units: str | None = None
    scale: float | None = None
    drop_bad_bands: bool = False
    processing_mode: str = "Reflectance"
