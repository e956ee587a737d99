"""Writing what inference gave: npz, ENVI, GeoTIFF or PNG, chosen by the file's suffix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.client.data.packages import optional_module
from swath.client.data.pictures import as_map, stretched
from swath.client.data.scenes import scene_errors
from swath.client.data.validity import valid_pixels
from swath.client.errors import SceneError
from swath.scenes import Scene, write_envi, write_tiff

SUFFIXES = (".npz", ".hdr", ".tif", ".png")


def write_results(
    path: str | Path, outputs: Mapping[str, NDArray[Any]], *, scene: Scene | None = None, notes: list[str] | None = None
) -> list[Path]:
    """Write outputs of one frame.

    ``.npz`` holds all of them under ``node.port``. ``.hdr`` (ENVI), ``.tif`` (GeoTIFF) and ``.png`` write one file for
    each output that is an image; with more than one, the output's name is put before the suffix.

    Args:
        path: The file.
        outputs: Arrays by ``node.port``.
        scene: The scene that they are of. Where it lies on the map, images of its size in ENVI and GeoTIFF files lie
            in the same place.
        notes: Gets a sentence for what of that place a file does not say.

    Returns:
        The files written (for ENVI, the headers).

    Raises:
        SceneError: An unknown suffix, no output that is an image, or a folder that cannot be written.
        MissingPackageError: A ``.png`` without matplotlib.
    """
    path = Path(path)
    check_writable(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".npz":
            np.savez_compressed(path, **dict(outputs))  # pyright: ignore[reportArgumentType]
            return [path]
        return _write_images(path, outputs, scene, [] if notes is None else notes)
    except OSError as error:
        raise SceneError(f"cannot write {path}: {error.strerror or error}") from None


def check_writable(path: str | Path) -> None:
    """Refuse a file that `write_results` could not write, before there is anything to write.

    Raises:
        SceneError: An unknown suffix.
        MissingPackageError: A ``.png`` without matplotlib.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise SceneError(f"cannot write {path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if path.suffix.lower() == ".png":
        _png(path)


def _png(path: Path) -> Any:
    return optional_module("matplotlib.image", extra="plots", purpose=f"writing {path.name}")


def _write_images(path: Path, outputs: Mapping[str, NDArray[Any]], scene: Scene | None, notes: list[str]) -> list[Path]:
    images = {name: image for name, array in outputs.items() if (image := _image(array)) is not None}
    if not images:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items()) or "nothing"
        raise SceneError(f"no output is an image [1, H, W, C]: {shapes}; write an .npz file instead")
    written = []
    for name, image in images.items():
        to = path if len(images) == 1 else path.with_name(f"{path.stem}.{name}{path.suffix}")
        if path.suffix.lower() == ".png":
            _write_png(to, image)
        else:
            same = scene is not None and image.shape[:2] == scene.size
            write = write_envi if path.suffix.lower() == ".hdr" else write_tiff
            with scene_errors():
                notes += (f"{to}: {note}" for note in write(to, image, scene.georeference if scene and same else None))
        written.append(to)
    return written


def _image(array: NDArray[Any]) -> NDArray[Any] | None:
    """[H, W, C] of an output that holds one frame, else None."""
    if array.ndim == 4 and array.shape[0] == 1:
        return array[0]
    if array.ndim == 3 and array.shape[0] == 1:
        return array[0][..., None]
    return None


def _write_png(path: Path, image: NDArray[Any]) -> None:
    png = _png(path)
    if image.shape[-1] == 3:
        shown = np.where(valid_pixels(image)[..., None], image, 0)  # invalid pixels are black
        png.imsave(path, np.clip(np.asarray(shown, dtype=np.float32), 0, 1))
        return
    band = as_map(image[..., :1])
    if band.dtype == bool or np.issubdtype(band.dtype, np.integer):
        png.imsave(path, band.astype(np.float32), cmap="gray")
        return
    png.imsave(path, stretched(band), cmap="inferno", vmin=0, vmax=1)
