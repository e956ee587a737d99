"""Pictures of samples: false colour of cubes, masks, score maps; small ones as WebP, kept once they are made."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

_RED, _GREEN, _BLUE = 650.0, 550.0, 450.0
"""Wavelengths in nanometres that are shown as the three colours, where the cube has them."""
_LOW, _HIGH = 2.0, 98.0
"""Percentiles that become black and white."""
_PALETTE = np.array(
    [
        (0, 0, 0),
        (230, 57, 70),
        (69, 123, 157),
        (244, 162, 97),
        (42, 157, 143),
        (168, 118, 184),
        (233, 196, 106),
        (141, 153, 174),
    ],
    np.uint8,
)
"""Colours of classes; 0 is background, and numbers beyond go round."""


def false_colour(cube: np.ndarray, wavelengths: Sequence[float] | None = None) -> np.ndarray:
    """Return a cube as a picture: three bands, each stretched between two percentiles of its values.

    Args:
        cube: Values (height, width, bands); not numbers are black.
        wavelengths: Of the bands in nanometres. Without them, the bands at 3/4, 1/2 and 1/4 of their number.

    Returns:
        Red, green and blue (height, width, 3), uint8.
    """
    bands = cube.shape[2]
    if wavelengths is not None and len(wavelengths) == bands:
        known = np.asarray(wavelengths, float)
        chosen = [int(np.abs(known - wanted).argmin()) for wanted in (_RED, _GREEN, _BLUE)]
    else:
        chosen = [min(bands * part // 4, bands - 1) for part in (3, 2, 1)]
    return np.stack([_stretched(cube[:, :, band]) for band in chosen], axis=2)


def grey(plane: np.ndarray) -> np.ndarray:
    """Return values (height, width), such as scores, as a grey picture (height, width, 3)."""
    return np.repeat(_stretched(plane)[:, :, None], 3, axis=2)


def classes(mask: np.ndarray) -> np.ndarray:
    """Return class numbers (height, width) as a picture (height, width, 3), a colour a class and black for 0."""
    numbers = np.asarray(mask).astype(np.int64)
    shown = np.where(numbers > 0, (numbers - 1) % (len(_PALETTE) - 1) + 1, 0)
    return _PALETTE[shown]


def _stretched(plane: np.ndarray) -> np.ndarray:
    values = np.asarray(plane, np.float32)
    usable = values[np.isfinite(values)]
    if not usable.size:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(usable, (_LOW, _HIGH))
    scale = 255.0 / (high - low) if high > low else 0.0
    shown = np.clip((values - low) * scale, 0, 255)
    return np.where(np.isfinite(values), shown, 0).astype(np.uint8)


def fitted(height: int, width: int, box_height: int, box_width: int) -> tuple[int, int]:
    """Return the size of a picture that is made to fit into a box, its ratio kept, never enlarged."""
    scale = min(box_height / height, box_width / width, 1.0)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def webp(picture: np.ndarray, height: int, width: int) -> bytes:
    """Return a picture (height, width, 3) of uint8 in another size as WebP."""
    image = Image.fromarray(picture)
    if (height, width) != picture.shape[:2]:
        image = image.resize(
            (width, height), Image.Resampling.BOX if height < picture.shape[0] else Image.Resampling.NEAREST
        )
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85, method=2)
    return buffer.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    """Return height and width of a picture that `webp` has made, by its header."""
    width, height = Image.open(io.BytesIO(data)).size
    return height, width


class PictureCache:
    """Pictures that were made, in memory and in a folder. Safe to use from several threads.

    Args:
        folder: Where they are kept; None for memory alone. Whoever owns it may remove files of it at any time.
        most_bytes: What memory may hold.
        most_file_bytes: What the folder may hold; the ones that were used least recently go.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = 64 << 20, most_file_bytes: int = 1 << 30) -> None:
        self._folder = folder
        self._most, self._most_on_disk = most_bytes, most_file_bytes
        self._held = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._written = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """Return the picture of a key, made where there is none.

        Args:
            key: What it shows: sample, kind, size, and the digest of what it is made of.
            make: Makes it.
        """
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()
        with self._lock:
            if (data := self._kept.get(name)) is not None:
                self._kept.move_to_end(name)
                return data
        data = self._read(name)
        if data is None:
            data = make()
            self._write(name, data)
        with self._lock:
            if name not in self._kept:
                self._kept[name] = data
                self._held += len(data)
            while self._held > self._most and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])
        return data

    def _read(self, name: str) -> bytes | None:
        if self._folder is None:
            return None
        path = self._folder / name[:2] / name
        with suppress(OSError):
            data = path.read_bytes()
            os.utime(path)
            return data
        return None

    def _write(self, name: str, data: bytes) -> None:
        """Keep a picture in the folder; a disk that is full only makes the next call slower."""
        if self._folder is None:
            return
        with suppress(OSError):
            place = self._folder / name[:2]
            place.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place, delete=False) as file:
                file.write(data)
            Path(file.name).replace(place / name)
            self._written += len(data)
            if self._written > self._most_on_disk // 10:
                self._written = 0
                self._tidy(self._folder)

    def _tidy(self, folder: Path) -> None:
        files = []
        for path in folder.glob("*/*"):
            with suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        files.sort(reverse=True)
        held = 0
        for _, size, path in files:
            held += size
            if held > self._most_on_disk:
                path.unlink(missing_ok=True)
