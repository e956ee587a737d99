"""Data for runs: modules that read frames from files, assign them to splits and batch them, reproducibly.

`build` makes the module that a data document names. One registry has all modules by name: ``npz_multi``,
``tiff_paired``, ``cu3s`` and ``cu3s_multi`` take the parameters of cuvis_ai.v1's modules; ``scene``, which is ours,
reads one scene file (ENVI, npz, MAT, TIFF, HDF5, zarr, cu3s), whole or in tiles.
"""

from swath.engine.data.collection import Collection, Resolve, Sample
from swath.engine.data.module import WHOLE, DataModule, Part
from swath.engine.data.registry import available, build, register
from swath.engine.data.splits import universe_hash

__all__ = [
    "WHOLE",
    "Collection",
    "DataModule",
    "Part",
    "Resolve",
    "Sample",
    "available",
    "build",
    "register",
    "universe_hash",
]
