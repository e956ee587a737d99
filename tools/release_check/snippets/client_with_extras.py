"""What the extras of the client add."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import scipy.io

from swath.client import read_scenes
from swath.client.data.results import write_results

cube = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    scipy.io.savemat(folder / "scene.mat", {"cube": cube})
    (scene,) = read_scenes(folder / "scene.mat")
    np.testing.assert_array_equal(scene.cube, cube)
    (picture,) = write_results(folder / "map.png", {"node.map": cube[None, ..., :1].astype(np.float32)})
    assert picture.read_bytes().startswith(b"\x89PNG")
