"""cu3s: recordings of Cubert cameras, read by the vendor's ``cuvis`` SDK, which is proprietary and not shipped."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, DependencyMissing
from swath.scenes.checks import existing, parsing
from swath.scenes.draft import Draft, finished
from swath.scenes.options import PROCESSING_MODES, Options
from swath.scenes.scene import Scene
from swath.scenes.wavelengths import Stored

# Names of the SDK that differ.
_SDK_NAMES = {"DarkSubtract": ("DarkSubtract", "Dark_Subtract")}


def sdk() -> Any:
    """Import the SDK.

    Raises:
        DependencyMissing: It is not installed.
    """
    try:
        return import_module("cuvis")
    except ImportError as error:
        raise DependencyMissing(
            "reading .cu3s files needs Cubert's proprietary SDK 'cuvis', which is not installed here; install it from "
            "Cubert (pip install cuvis with its C library), or convert the recording to npz or ENVI"
        ) from error


class Recording:
    """An open .cu3s file; it holds the SDK's session, which must be closed.

    Args:
        path: The file.
        options: How it is processed, and what else the caller says.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes`; also if the recording lacks the references of the mode.
        DependencyMissing: The SDK is not installed.
    """

    def __init__(self, path: Path, options: Options | None = None, *, name: str | None = None) -> None:
        self.name = name or path.name
        self._options = options or Options()
        self._stem = path.stem
        mode = self._options.processing_mode
        existing(path)
        if mode not in PROCESSING_MODES:
            raise DataInvalid(f"processing_mode: expected one of {', '.join(PROCESSING_MODES)}, got '{mode}'")
        cuvis = sdk()
        with parsing(self.name, "cu3s recording"):
            self._session: Any = cuvis.SessionFile(str(path))
            self._context: Any = cuvis.ProcessingContext(self._session)
            self._require_references(cuvis, mode)
            self._context.processing_mode = _mode(cuvis, mode)

    def __len__(self) -> int:
        """Return the number of measurements."""
        return len(self._session)

    def read(self, measurement: int = 0) -> Scene:
        """Read one measurement, processed.

        Raises:
            DataInvalid: There is no such measurement.
        """
        if not 0 <= measurement < len(self):
            raise DataInvalid(f"{self.name}: expected a measurement below {len(self)}, got {measurement}")
        with parsing(self.name, "cu3s recording"):
            processed = self._context.apply(self._session.get_measurement(measurement))
            image = processed.cube if hasattr(processed, "cube") else processed.data["cube"]  # by the SDK's release
            cube, wavelengths = np.asarray(image.array), np.asarray(image.wavelength)
        draft = Draft(cube, number=measurement if len(self) > 1 else None, wavelengths=Stored(wavelengths, "nm"))
        return finished(draft, self._options, stem=self._stem, shown=self.name)

    def close(self) -> None:
        """Free the SDK's handles."""
        self._context = None
        self._session = None

    def _require_references(self, cuvis: Any, mode: str) -> None:
        needed = {"Reflectance": ("White", "Dark"), "SpectralRadiance": ("Dark",), "DarkSubtract": ("Dark",)}
        missing = [
            kind
            for kind in needed.get(mode, ())
            if self._session.get_reference(0, getattr(cuvis.ReferenceType, kind)) is None
        ]
        if missing:
            raise DataInvalid(
                f"{self.name}: processing_mode {mode} needs {' and '.join(missing)} references in the file"
            )


def _mode(cuvis: Any, mode: str) -> Any:
    for spelling in _SDK_NAMES.get(mode, (mode,)):
        if hasattr(cuvis.ProcessingMode, spelling):
            return getattr(cuvis.ProcessingMode, spelling)
    raise DataInvalid(f"processing_mode: the installed SDK has no mode '{mode}'")
