"""A workspace folder, and data documents over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.documents import DataDocument
from swath.engine.data import build
from swath.engine.data.module import FrameModule
from swath.errors import PathDenied

EXAMPLES = Path(__file__).parents[4] / "examples" / "data"

Open = Callable[..., FrameModule]


@pytest.fixture
def examples() -> Path:
    """The shipped scene's folder."""
    return EXAMPLES


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    root = tmp_path / "workspace"
    root.mkdir()
    return root.resolve()


@pytest.fixture
def resolve(workspace: Path) -> Callable[[str], Path]:
    """What the workspace does: relative to its root, links followed, never out of it."""

    def inside(path: str) -> Path:
        real = (workspace / path).resolve()
        if not real.is_relative_to(workspace):
            raise PathDenied(f"'{path}' leads out of the workspace")
        return real

    return inside


@pytest.fixture
def open_data(resolve: Callable[[str], Path]) -> Open:
    """Builds the module of a document that is given field by field."""

    def opened(data_module: str, *, seed: int = 1, **fields: Any) -> FrameModule:
        module = build(DataDocument.model_validate({"data_module": data_module, **fields}), resolve, seed=seed)
        assert isinstance(module, FrameModule)
        return module

    return opened


@pytest.fixture
def san_diego(workspace: Path) -> str:
    """The real scene, as data/san_diego.npz in the workspace."""
    (workspace / "data").mkdir()
    shutil.copy(EXAMPLES / "san_diego.npz", workspace / "data")
    return "data/san_diego.npz"


@pytest.fixture
def small_cube() -> np.ndarray:
    """4 x 6 pixels of 3 bands, all numbers different."""
    return np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3)


@pytest.fixture
def small_scene(workspace: Path, small_cube: np.ndarray) -> str:
    """The small cube as scene.npz, with one anomalous pixel at row 3, column 5."""
    mask = np.zeros((4, 6), np.uint8)
    mask[3, 5] = 1
    np.savez(workspace / "scene.npz", cube=small_cube, mask=mask, wavelengths=np.array([450.4, 550.6, 650.0]))
    return "scene.npz"
