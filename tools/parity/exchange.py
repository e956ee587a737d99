"""Trees of arrays in files, for two interpreters that share no package but numpy and torch.

A tree is a dictionary, list, array, number, text, flag or None. It is kept as JSON with the arrays beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

_ARRAY = "$array"


def write(folder: Path, name: str, tree: Any) -> None:
    """Write a tree as ``NAME.json`` and ``NAME.npz``."""
    arrays: dict[str, np.ndarray] = {}

    def strip(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            key = f"a{len(arrays)}"
            arrays[key] = value
            return {_ARRAY: key}
        if isinstance(value, dict):
            return {str(key): strip(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [strip(item) for item in value]
        return value.item() if isinstance(value, np.generic) else value

    folder.mkdir(parents=True, exist_ok=True)
    stripped = json.dumps(strip(tree))
    np.savez(folder / f"{name}.npz", **arrays)  # pyright: ignore[reportArgumentType]
    (folder / f"{name}.json").write_text(stripped)


def read(folder: Path, name: str) -> Any:
    """Read what `write` wrote."""
    with np.load(folder / f"{name}.npz") as arrays:

        def fill(value: Any) -> Any:
            if isinstance(value, dict):
                return arrays[value[_ARRAY]] if _ARRAY in value else {key: fill(item) for key, item in value.items()}
            return [fill(item) for item in value] if isinstance(value, list) else value

        return fill(json.loads((folder / f"{name}.json").read_text()))


def plain(value: Any) -> Any:
    """Return a node's output as a tree.

    Tensors become arrays. Of a measurement its name and value are kept, of a picture its name only: two programs draw
    the same content with different pixels.
    """
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy().copy()  # nodes go on changing their buffers
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str | np.ndarray):
        return value
    if isinstance(value, np.generic):
        return value.item()
    content = getattr(value, "pixels", getattr(value, "value", None))
    if content is not None and np.ndim(content) == 0:
        return {"name": value.name, "value": float(content)}
    return {"picture": value.name}


def tensors(value: Any) -> Any:
    """Return a tree with tensors in place of its arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {key: tensors(item) for key, item in value.items()}
    return [tensors(item) for item in value] if isinstance(value, list) else value
