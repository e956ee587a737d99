"""cu3s: recordings of Cubert cameras, read by the vendor's ``cuvis`` SDK, which is proprietary and not shipped."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataInvalid, DependencyMissing
from swath.scenes.checks import as_wavelengths, existing, parsing
from swath.scenes.scene import SceneData

PROCESSING_MODES = ("Raw", "Reflectance", "DarkSubtract", "SpectralRadiance")
"""What can be read from a recording, by the names of cuvis_ai.v1's ProcessingMode."""

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
            "reading .cu3s files needs Cubert's proprietary SDK 'cuvis' on the server, which is not installed; "
            "install it from Cubert (pip install cuvis with its C library), or convert the recording to npz or ENVI"
        ) from error


class Recording:
    """An open .cu3s file; it holds the SDK's session, which must be closed.

    Args:
        path: The file.
        processing_mode: One of `PROCESSING_MODES`.

    Raises:
        FileMissing, DataInvalid: See `swath.scenes.readers`; also if the recording lacks the references of the
            mode.
        DependencyMissing: The SDK is not installed.
    """

    def __init__(self, path: Path, processing_mode: str = "Raw", *, name: str | None = None) -> None:
        self.name = name or path.name
        existing(path)
        if processing_mode not in PROCESSING_MODES:
            raise DataInvalid(
                f"processing_mode: expected one of {', '.join(PROCESSING_MODES)}, got '{processing_mode}'"
            )
        cuvis = sdk()
        with parsing(self.name, "cu3s recording"):
            self._session: Any = cuvis.SessionFile(str(path))
            self._context: Any = cuvis.ProcessingContext(self._session)
            self._require_references(cuvis, processing_mode)
            self._context.processing_mode = _mode(cuvis, processing_mode)

    def __len__(self) -> int:
        """Return the number of measurements."""
        return len(self._session)

    def read(self, measurement: int = 0) -> SceneData:
        """Read one measurement, processed.

        Raises:
            DataInvalid: There is no such measurement.
        """
        if not 0 <= measurement < len(self):
            raise DataInvalid(f"{self.name}: expected a measurement below {len(self)}, got {measurement}")
        with parsing(self.name, "cu3s recording"):
            processed = self._context.apply(self._session.get_measurement(measurement))
            cube = np.asarray(processed.cube.array)
            wavelengths = as_wavelengths(self.name, processed.cube.wavelength)
        return SceneData(self.name, cube, wavelengths=wavelengths)

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
