"""Hyperspectral scenes in files: read and written by one set of rules, for training and for inference.

`read_scenes` gives the frames of a file, `read_scene` one of them; `FORMATS` is the table of what is read. What a
caller may say of a file is in `Options`. Every reader raises FileMissing for a missing file, DataInvalid (with what,
where, expected and found) for an invalid one, and DependencyMissing if a format needs a package that is not installed,
all of `swath.errors`. No file can run code or name another file: pickled arrays and links that lead out are refused.
"""

from swath.scenes.georeference import Georeference
from swath.scenes.growing import GrowingScene
from swath.scenes.options import PROCESSING_MODES, USUAL_NAMES, Options
from swath.scenes.readers.cu3s import Recording
from swath.scenes.readers.formats import (
    FORMATS,
    SUFFIXES,
    Format,
    files_of,
    read_plane,
    read_scene,
    read_scenes,
)
from swath.scenes.scene import Scene
from swath.scenes.wavelengths import UNITS, parse_wavelengths
from swath.scenes.writing import write_envi, write_tiff

__all__ = [
    "FORMATS",
    "PROCESSING_MODES",
    "SUFFIXES",
    "UNITS",
    "USUAL_NAMES",
    "Format",
    "Georeference",
    "GrowingScene",
    "Options",
    "Recording",
    "Scene",
    "files_of",
    "parse_wavelengths",
    "read_plane",
    "read_scene",
    "read_scenes",
    "write_envi",
    "write_tiff",
]
