"""Scenes from files: ENVI, npz, MAT, TIFF and, where the cuvis SDK is installed, cu3s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.client.data.packages import optional_module
from swath.client.errors import MissingPackageError, SceneError

PROCESSING_MODES = ("Raw", "Reflectance", "DarkSubtract", "SpectralRadiance")

_CUBE_NAMES = ("cube", "data", "image", "img", "hsi")
_MASK_NAMES = ("mask", "map", "gt", "groundtruth", "ground_truth", "labels", "class_mask")
_WAVELENGTH_NAMES = ("wavelengths", "wavelength", "bands", "wl")
_ENVI_DATA = ("", ".img", ".dat", ".raw", ".bin", ".bil", ".bip", ".bsq")


@dataclass(frozen=True, slots=True)
class Scene:
    """One hyperspectral frame.

    Attributes:
        cube: [H, W, C], in the file's own dtype.
        wavelengths: [C] in nm, float32; None where the file does not say.
        mask: [H, W], non-zero where something is marked; None where the file has none.
        name: File name without suffix, with the frame's number where the file holds several.
    """

    cube: NDArray[Any]
    wavelengths: NDArray[np.float32] | None
    mask: NDArray[Any] | None
    name: str

    def inputs(self) -> dict[str, Any]:
        """The scene as inputs of `Session.infer`: a batch of one, of a dtype that the wire has."""
        wavelengths = None if self.wavelengths is None else self.wavelengths[None]
        return {"cube": wire_ready(self.cube)[None], "wavelengths": wavelengths}


def read_scenes(path: str | Path, *, processing_mode: str = "Reflectance") -> Iterator[Scene]:
    """Read all frames of a file, one at a time.

    Args:
        path: ``.hdr`` (or the ENVI data file beside it), ``.npz``, ``.mat``, ``.tif``/``.tiff`` or ``.cu3s``.
        processing_mode: For cu3s: one of Raw, Reflectance, DarkSubtract, SpectralRadiance. Other files hold finished
            cubes and are taken as they are.

    Raises:
        SceneError: No such file, an unknown kind, or no cube in it.
        MissingPackageError: The file's kind needs a package that is not installed.
    """
    path = Path(path)
    header = _envi_header(path)
    if header is not None:
        return iter([_read_envi(header)])
    if not path.is_file():
        raise SceneError(f"no such file: {path}")
    if path.suffix.lower() == ".cu3s":
        return _read_cu3s(path, processing_mode)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join([".hdr", *_READERS, ".cu3s"])
        raise SceneError(f"cannot tell what {path} is: expected one of {kinds}")
    return reader(path)


def wire_ready(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, or converted without loss to a dtype that the wire has (int16 and such become int32)."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "i" and size < 4:
        return array.astype(np.int32)
    if kind == "u" and size > 2:
        return array.astype(np.int64)
    if kind == "f" and size > 8:
        return array.astype(np.float64)
    return array


def _read_npz(path: Path) -> Iterator[Scene]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # damaged files fail in many ways: BadZipFile, zlib.error, EOFError, ...
        raise _unreadable(path, error) from None
    yield from _from_arrays(arrays, path)


def _read_mat(path: Path) -> Iterator[Scene]:
    matlab = optional_module("scipy.io", extra="files", purpose=f"reading {path.name}")
    try:
        loaded = matlab.loadmat(path)
    except NotImplementedError:
        raise SceneError(f"{path} is a MATLAB 7.3 file; save it with -v7 in MATLAB, or convert it to npz") from None
    except Exception as error:  # MatReadError, zlib.error, KeyError, ...
        raise _unreadable(path, error) from None
    arrays = {name: value for name, value in loaded.items() if isinstance(value, np.ndarray)}
    yield from _from_arrays(arrays, path)


def _from_arrays(arrays: dict[str, NDArray[Any]], path: Path) -> Iterator[Scene]:
    by_name = {name.lower(): value for name, value in arrays.items()}
    named = [by_name[name] for name in _CUBE_NAMES if name in by_name and by_name[name].ndim in (3, 4)]
    others = sorted((a for a in arrays.values() if a.ndim == 3), key=lambda a: a.size, reverse=True)
    if not named and not others:
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in arrays.items()) or "nothing"
        raise SceneError(f"{path} holds no cube [H, W, C]; it holds {shapes}")
    cube = (named or others)[0]
    wavelengths = _first(by_name, _WAVELENGTH_NAMES, lambda a: a.size == cube.shape[-1] and a.dtype.kind in "fiu")
    mask = _first(by_name, _MASK_NAMES, lambda a: a.shape in (cube.shape[:-1], cube.shape[-3:-1]))
    yield from _frames(cube, wavelengths, mask, path.stem)


def _read_tiff(path: Path) -> Iterator[Scene]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            cube, axes = series.asarray(), series.axes
    except Exception as error:  # TiffFileError, struct.error, IndexError, ...
        raise _unreadable(path, error) from None
    if cube.ndim == 2:
        raise SceneError(f"{path} holds one band [{cube.shape[0]}, {cube.shape[1]}], expected a cube [H, W, C]")
    if cube.ndim == 3 and axes.endswith("YX"):
        # One page per band: bands come first in the file and last in a cube.
        cube = np.moveaxis(cube, 0, -1)
    yield from _frames(cube, None, None, path.stem)


def _read_envi(header: Path) -> Scene:
    from spectral.io import envi

    data = next((p for suffix in _ENVI_DATA if (p := header.with_suffix(suffix)).is_file() and p != header), None)
    if data is None:
        raise SceneError(f"no data file beside {header}: expected {header.stem} with .img, .dat, .raw, .bin or none")
    try:
        file: Any = envi.open(str(header), str(data))
        cube = np.array(file.open_memmap(interleave="bip"))
        wavelengths = _envi_wavelengths(file.metadata)
    except Exception as error:  # EnviException, ValueError of a wavelength that is no number, ...
        raise _unreadable(header, error) from None
    return Scene(cube.astype(cube.dtype.newbyteorder("=")), wavelengths, None, header.stem)


def _unreadable(path: Path, error: Exception) -> SceneError:
    return SceneError(f"cannot read {path}: {str(error) or type(error).__name__}")


def _envi_wavelengths(metadata: dict[str, Any]) -> NDArray[np.float32] | None:
    if "wavelength" not in metadata:
        return None
    values = np.array([float(value) for value in metadata["wavelength"]], dtype=np.float32)
    unit = str(metadata.get("wavelength units", "")).strip().lower()
    in_um = unit.startswith(("micro", "um", "µm")) or (unit in ("", "unknown") and bool(values.max() < 100))
    return values * np.float32(1000) if in_um else values


def _envi_header(path: Path) -> Path | None:
    if path.suffix.lower() == ".hdr":
        if not path.is_file():
            raise SceneError(f"no such file: {path}")
        return path
    if path.suffix.lower() not in _ENVI_DATA:
        return None
    return next((p for p in (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr")) if p.is_file()), None)


def _read_cu3s(path: Path, processing_mode: str) -> Iterator[Scene]:
    if processing_mode not in PROCESSING_MODES:
        raise SceneError(f"no processing mode '{processing_mode}'; there are {', '.join(PROCESSING_MODES)}")
    try:
        import cuvis  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingPackageError(
            f"reading {path.name} needs Cubert's cuvis SDK and its Python package 'cuvis', which are not installed "
            "here; install them, or export the scene as ENVI or TIFF"
        ) from None
    session = cuvis.SessionFile(str(path))
    processing = cuvis.ProcessingContext(session)
    processing.processing_mode = getattr(cuvis.ProcessingMode, processing_mode)
    count = len(session)
    for index in range(count):
        image = processing.apply(session.get_measurement(index)).data["cube"]
        wavelengths = np.asarray(image.wavelength, dtype=np.float32).ravel()
        name = path.stem if count == 1 else f"{path.stem}_{index:04d}"
        yield Scene(np.asarray(image.array), wavelengths, None, name)


def _frames(cube: NDArray[Any], wavelengths: Any, mask: Any, stem: str) -> Iterator[Scene]:
    if cube.dtype.kind not in "fiub" or cube.ndim not in (3, 4):
        raise SceneError(f"{stem}: expected numbers [H, W, C] or [N, H, W, C], got {cube.dtype} {list(cube.shape)}")
    band_nm = None if wavelengths is None else np.asarray(wavelengths, dtype=np.float32).ravel()
    if cube.ndim == 3:
        yield Scene(cube, band_nm, mask, stem)
        return
    for index, frame in enumerate(cube):
        own = None if mask is None else (mask[index] if mask.ndim == 3 else mask)
        yield Scene(frame, band_nm, own, f"{stem}_{index:04d}")


def _first(
    arrays: dict[str, NDArray[Any]], names: tuple[str, ...], fits: Callable[[NDArray[Any]], bool]
) -> NDArray[Any] | None:
    return next((arrays[name] for name in names if name in arrays and fits(arrays[name])), None)


_READERS: dict[str, Callable[[Path], Iterator[Scene]]] = {
    ".npz": _read_npz,
    ".mat": _read_mat,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
}
