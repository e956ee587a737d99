"""Real scenes, cut into tiles that both sides read: one .npz per tile, listed by a universe.csv."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.parity.cases.case import BANDS, WAVELENGTHS

NAMES = ("san_diego", "texas_coast")
SIDE, EDGE = 4, 25
ANOMALY = 2
_SOURCE = "scene"


@dataclass(frozen=True)
class ExampleScene:
    """A scene of 100 x 100 pixels as 16 tiles.

    Attributes:
        cubes: Tiles, float32 ``[16, 25, 25, 61]``: 61 of the scene's channels, evenly spaced. The shipped pipelines are
            written for an instrument of 61 channels, whose wavelengths the tiles are labelled with.
        masks: Class of each pixel, int32 ``[16, 25, 25]``: 2 anomalous, 0 normal.
    """

    cubes: np.ndarray
    masks: np.ndarray

    @classmethod
    def read(cls, file: Path) -> ExampleScene:
        """Read a scene from its .npz file."""
        cube, mask = bands_of(file)
        return cls(_tiles(cube), _tiles(mask))

    def batch(self, tiles: slice) -> dict[str, np.ndarray]:
        """Return some tiles as a batch of a pipeline."""
        cubes = self.cubes[tiles]
        return {
            "cube": cubes,
            "mask": self.masks[tiles],
            "wavelengths": np.broadcast_to(WAVELENGTHS, (len(cubes), BANDS)).copy(),
            "mesu_index": np.arange(len(cubes)),
        }

    def data(self, folder: Path, batch_size: int) -> dict[str, Any]:
        """Write the tiles and return the data section of a trainrun: every other tile is for training."""
        folder.mkdir(parents=True)
        lines = ["source,index,materialized_path"]
        for index, (cube, mask) in enumerate(zip(self.cubes, self.masks, strict=True)):
            np.savez(folder / f"{index}.npz", cube=cube, mask=mask, wavelengths=WAVELENGTHS)
            lines.append(f"{_SOURCE},{index},{index}.npz")
        universe = folder / "universe.csv"
        universe.write_text("\n".join(lines) + "\n")
        numbers = range(len(self.cubes))
        white = [index for index in numbers if (index // SIDE + index % SIDE) % 2 == 0]
        black = [index for index in numbers if index not in white]
        splits = {
            stage: [{"kind": "file_indices", "source": _SOURCE, "ids": ids}]
            for stage, ids in (("train", white), ("val", black), ("test", black))
        }
        return {
            "data_module": "npz_multi",
            "batch_size": batch_size,
            "splits": splits,
            "params": {"universe_csv": str(universe)},
        }


def bands_of(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 61 channels of a scene's cube, float32 ``[H, W, 61]``, and its pixels' classes, int32 ``[H, W]``."""
    with np.load(file) as arrays:
        cube, mask = arrays["cube"].astype(np.float32), arrays["mask"]
    kept = np.linspace(0, cube.shape[-1] - 1, BANDS).round().astype(int)
    return cube[..., kept], (mask != 0).astype(np.int32) * ANOMALY


def _tiles(values: np.ndarray) -> np.ndarray:
    cut = values.reshape(SIDE, EDGE, SIDE, EDGE, *values.shape[2:])
    return np.ascontiguousarray(cut.swapaxes(1, 2).reshape(SIDE * SIDE, EDGE, EDGE, *values.shape[2:]))
