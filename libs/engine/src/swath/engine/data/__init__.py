"""Data for runs: modules that read frames from files, cut them into splits and batch them, the same way every time.

`build` makes the module that a data document names. Modules are found by name in one registry: ``npz_multi``,
``tiff_paired``, ``cu3s`` and ``cu3s_multi`` take the parameters of cuvis_ai.v1's modules, ``scene`` is our own for one
scene file (npz, ENVI, MAT, TIFF, cu3s), whole or in tiles.
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
