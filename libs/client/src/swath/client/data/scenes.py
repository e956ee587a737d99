"""Scenes from files, read by the rules that a training reads them by, with this client's errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swath import scenes
from swath.client.errors import MissingPackageError, SceneError
from swath.errors import DependencyMissing, SwathError
from swath.scenes import PROCESSING_MODES, Scene

__all__ = ["PROCESSING_MODES", "Scene", "read_scenes", "scene_errors"]


def read_scenes(
    path: str | Path,
    *,
    processing_mode: str = "Reflectance",
    cube_key: str | None = None,
    mask_key: str | None = None,
    class_mask_key: str | None = None,
    wavelengths_key: str | None = None,
    cube_axes: str = "HWC",
    wavelengths: Sequence[float] | None = None,
    wavelength_units: str | None = None,
    scale: float | None = None,
    drop_bad_bands: bool = False,
) -> Iterator[Scene]:
    """Read all frames of a file, one at a time.

    Args:
        path: ENVI (``.hdr``, or the image beside it), npz, MAT, TIFF, HDF5, zarr or cu3s: `swath.scenes.FORMATS`.
        processing_mode: For cu3s: one of Raw, Reflectance, DarkSubtract, SpectralRadiance. Other files hold finished
            cubes and are taken as they are.
        cube_key: Name of the cube in npz and MAT, its path in HDF5 and zarr; the usual names are tried without it.
        mask_key: Name of the mask; an empty one means none.
        class_mask_key: Name of the class mask; an empty one means none.
        wavelengths_key: Name of the wavelengths.
        cube_axes: The axes of the cube in such files as they are stored: H rows, W columns, C bands.
        wavelengths: Wavelengths, one per band, in place of the file's own.
        wavelength_units: Unit of the wavelengths, whatever the file says.
        scale: What stored numbers are multiplied by, in place of the file's own scale.
        drop_bad_bands: Leave out the bands that the file marks bad.

    Raises:
        SceneError: No such file, an unknown kind, no cube in it, or parts that do not fit together.
        MissingPackageError: The file's kind needs a package that is not installed.
    """
    options = scenes.Options(
        cube_key=cube_key,
        mask_key=mask_key,
        class_mask_key=class_mask_key,
        wavelengths_key=wavelengths_key,
        cube_axes=cube_axes,
        wavelengths=wavelengths,
        wavelength_units=wavelength_units,
        scale=scale,
        drop_bad_bands=drop_bad_bands,
        processing_mode=processing_mode,
    )
    return scenes_of(path, options)


def scenes_of(path: str | Path, options: scenes.Options) -> Iterator[Scene]:
    """As `read_scenes`, with the options as one."""
    with scene_errors():
        frames = scenes.read_scenes(Path(path), options, name=str(path))
    return _translated(frames)


def growing_scene(path: str | Path, options: scenes.Options) -> scenes.GrowingScene:
    """Open an ENVI image that is still being written.

    Raises:
        SceneError: As of `read_scenes`, or another kind of file.
    """
    with scene_errors():
        return scenes.GrowingScene(Path(path), options, name=str(path))


@contextmanager
def scene_errors() -> Iterator[None]:
    """Raise the client's errors for those of readers and writers within the block."""
    try:
        yield
    except DependencyMissing as error:
        raise MissingPackageError(str(error)) from None
    except SwathError as error:
        raise SceneError(str(error)) from None
    except MemoryError as error:  # a damaged file may claim any size
        raise SceneError(f"the scene does not fit into memory: {error}") from None


def _translated(frames: Iterator[Scene]) -> Iterator[Scene]:
    while True:
        with scene_errors():
            frame = next(frames, None)
        if frame is None:
            return
        yield frame
