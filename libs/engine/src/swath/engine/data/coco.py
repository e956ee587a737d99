"""COCO annotations, the labels of cu3s recordings: category ids per pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid
from swath.scenes.checks import existing, parsing


class Annotations:
    """A parsed COCO file. The ids of its images are the measurement numbers of a recording.

    Raises:
        FileMissing: There is no such file.
        DataInvalid: It is no COCO file.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        existing(path)
        with parsing(self.name, "COCO file"):
            document = json.loads(path.read_bytes())
            self.categories = {str(item["name"]): int(item["id"]) for item in document.get("categories", [])}
            self._by_image: dict[int, list[dict[str, Any]]] = {}
            for item in document["annotations"]:
                self._by_image.setdefault(int(item["image_id"]), []).append(item)
            self._ids = {
                image: frozenset(int(item["category_id"]) for item in items) - {0}
                for image, items in self._by_image.items()
            }

    def ids(self, image: int) -> frozenset[int]:
        """Return the categories of an image; empty if nothing is annotated."""
        return self._ids.get(image, frozenset())

    def mask(self, image: int, size: tuple[int, int]) -> np.ndarray:
        """Return category ids, int32 [H, W], 0 where nothing is annotated; where two overlap the later one wins.

        Raises:
            DataInvalid: A segmentation that is neither polygons nor run lengths.
        """
        mask = np.zeros(size, dtype=np.int32)
        for item in self._by_image.get(image, ()):
            with parsing(self.name, "COCO file"):
                for region in self._regions(item.get("segmentation") or [], size):
                    mask[region] = int(item["category_id"])
        return mask

    def _regions(self, segmentation: Any, size: tuple[int, int]) -> Iterator[np.ndarray]:
        if isinstance(segmentation, dict):
            yield _fitted(run_lengths(segmentation), size)
        elif isinstance(segmentation, list):
            for polygon in segmentation:
                yield _polygon(polygon, size)
        else:
            raise DataInvalid(f"{self.name}: segmentation: expected polygons or run lengths, got {segmentation!r:.80}")


def _polygon(points: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    # matplotlib takes long to import, and only polygons need it.
    from matplotlib.path import Path as Outline

    outline = Outline(np.asarray(points, dtype=np.float64).reshape(-1, 2), closed=False)
    rows, columns = np.mgrid[: size[0], : size[1]]
    return outline.contains_points(np.column_stack([columns.ravel(), rows.ravel()])).reshape(size)


def run_lengths(segmentation: dict[str, Any]) -> np.ndarray:
    """Decode COCO's run lengths, a list or a string, to a mask, bool [H, W].

    Raises:
        ValueError, KeyError: They are invalid, or do not match their size.
    """
    rows, columns = (int(length) for length in segmentation["size"])
    counts = segmentation["counts"]
    runs = _unpacked(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if sum(runs) != rows * columns or min(runs, default=0) < 0:
        raise ValueError(f"run lengths add up to {sum(runs)}, expected {rows} x {columns}")
    # Runs of zeros and ones alternate, zeros first, in column-major order.
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(columns, rows).T


def _unpacked(text: str) -> list[int]:
    """Decode COCO's string of run lengths: 5 bits per character, least significant first.

    From the fourth on, each number is the difference to the run two before it.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value |= -1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    return runs


def _fitted(region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut or pad a region to the frame's size."""
    fitted = np.zeros(size, dtype=bool)
    rows, columns = min(size[0], region.shape[0]), min(size[1], region.shape[1])
    fitted[:rows, :columns] = region[:rows, :columns]
    return fitted
