"""What nodes write into their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.parity import compare

_PICTURES = {".png", ".jpg", ".jpeg"}


def difference(ours: Path, theirs: Path) -> compare.Difference | None:
    """Compare the files of two folders, by name; None if neither has any.

    Pictures, arrays and JSON are compared by content; of other files (video, events) that they are there and not empty.
    """
    left, right = _contents(ours), _contents(theirs)
    return compare.difference(left, right) if left or right else None


def _contents(folder: Path) -> dict[str, Any]:
    return {str(file.relative_to(folder)): _read(file) for file in sorted(folder.rglob("*")) if file.is_file()}


def _read(file: Path) -> Any:
    if file.suffix in _PICTURES:
        with Image.open(file) as picture:
            return np.asarray(picture)
    if file.suffix == ".npy":
        return np.load(file)
    if file.suffix == ".json":
        return json.loads(file.read_text())
    return "not empty" if file.stat().st_size else "empty"
