"""Pictures of samples, cut out of their scenes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import FileMissing
from swath.samples import pictures
from swath.scenes import Scene, read_scene
from swath.storage import Workspace
from swath_experiment.runs.samples import Picture

KINDS = ("cube", "mask")
"""What there are pictures of."""
_MOST_SCENES = 4
"""Scenes that are held open: neighbouring samples are tiles of one."""


class Pictures:
    """Draws samples and keeps what it has drawn. Safe to use from several threads.

    Args:
        workspace: Has the scenes, by the names that runs give them.
        folder: Where pictures are kept.
    """

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self._read = workspace.reader()
        self._cache = pictures.PictureCache(folder)
        self._scenes: OrderedDict[tuple[str, int, int], Scene] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, row: Mapping[str, Any], kind: str, width: int, height: int) -> Picture | None:
        """Return a picture of a sample that fits into a box; None where there is none.

        Args:
            row: The sample, with the columns of its manifest.
            kind: One of `KINDS`.
            width: Of the box, in pixels.
            height: Of the box.

        Raises:
            FileMissing, DataInvalid, PathDenied: The sample's scene cannot be read any more.
        """
        path = self._read(row["source"])
        if not path.exists():
            raise FileMissing(f"{row['source']} is not there any more")
        version = path.stat().st_mtime_ns
        key = (row["source"], str(version), row["sample_id"], kind, f"{height}x{width}")
        data = self._cache.get(key, lambda: _drawn(self._scene(path, row, version), row, kind, height, width))
        return Picture(webp=data, shape=(*pictures.size_of(data), 3)) if data else None

    def _scene(self, path: Path, row: Mapping[str, Any], version: int) -> Scene:
        key = (str(path), version, row["frame"])
        with self._lock:
            if (scene := self._scenes.get(key)) is not None:
                self._scenes.move_to_end(key)
                return scene
        scene = read_scene(path, measurement=row["frame"], name=row["source"])
        with self._lock:
            self._scenes[key] = scene
            while len(self._scenes) > _MOST_SCENES:
                self._scenes.popitem(last=False)
        return scene


def _rectangle(row: Mapping[str, Any], scene: Scene) -> tuple[int, int, int, int]:
    """Return the sample's rows and columns; all of the scene where it is no tile."""
    if not row["width"]:
        return (0, scene.size[0], 0, scene.size[1])
    return (row["y"], row["y"] + row["height"], row["x"], row["x"] + row["width"])


def _drawn(scene: Scene, row: Mapping[str, Any], kind: str, height: int, width: int) -> bytes:
    """Return a picture of a sample that fits into a box; nothing where the scene has none of that kind."""
    top, bottom, left, right = _rectangle(row, scene)
    size = pictures.fitted(bottom - top, right - left, height, width)
    if kind == "cube":
        nm = None if scene.wavelengths is None else scene.wavelengths.tolist()
        return pictures.webp(pictures.false_colour(scene.cube[top:bottom, left:right], nm), *size)
    plane = scene.class_mask if scene.class_mask is not None else scene.mask
    if plane is None:
        return b""
    return pictures.webp(pictures.classes(np.asarray(plane)[top:bottom, left:right]), *size)
