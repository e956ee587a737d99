"""Readers of scene files: npz, ENVI, MAT, TIFF and cu3s. Nothing here needs torch.

`read_scene` chooses a reader by the suffix. Every reader raises FileMissing for a missing file, DataInvalid (with what,
where, expected and found) for an invalid one, and DependencyMissing if a format needs a package that is not installed.
No file can run code: pickled arrays are refused.
"""

from swath.scenes.readers.cu3s import PROCESSING_MODES, Recording
from swath.scenes.readers.envi import read_envi
from swath.scenes.readers.files import SUFFIXES, files_of, read_mask, read_scene
from swath.scenes.readers.mat import read_mat
from swath.scenes.readers.npz import read_npz
from swath.scenes.readers.tiff import read_tiff
from swath.scenes.scene import SceneData, Variables

__all__ = [
    "PROCESSING_MODES",
    "SUFFIXES",
    "Recording",
    "SceneData",
    "Variables",
    "files_of",
    "read_envi",
    "read_mask",
    "read_mat",
    "read_npz",
    "read_scene",
    "read_tiff",
]
