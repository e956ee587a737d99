"""What the client does without its extras, and what it says where one is needed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import swath.client
from swath.client import MissingPackageError, numpy_to_proto, proto_to_numpy, read_scenes
from swath.client.data.results import write_results

for name in swath.client.__all__:
    getattr(swath.client, name)

cube = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
np.testing.assert_array_equal(proto_to_numpy(numpy_to_proto(cube)), cube)
with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    np.savez(folder / "scene.npz", cube=cube)
    write_results(folder / "scene.hdr", {"node.cube": cube[None]})
    write_results(folder / "scene.tif", {"node.cube": cube[None]})
    for file in ("scene.npz", "scene.hdr", "scene.tif"):
        (scene,) = read_scenes(folder / file)
        np.testing.assert_array_equal(scene.cube, cube)

    (folder / "scene.mat").write_bytes(b"")
    for needed, extra in (
        (lambda: list(read_scenes(folder / "scene.mat")), "swath-scenes[mat]"),
        (lambda: write_results(folder / "map.png", {"node.map": cube[None, ..., :1]}), "swath[plots]"),
    ):
        said = ""
        try:
            needed()
        except MissingPackageError as error:
            said = str(error)
        assert f"pip install '{extra}'" in said, said

assert not {"torch", "scipy", "matplotlib"} & set(sys.modules)
