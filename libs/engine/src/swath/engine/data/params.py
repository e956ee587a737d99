"""Parameters of data modules, and paths in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Resolve
from swath.errors import DataInvalid, FileMissing
from swath.scenes import Options, parse_wavelengths


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


NameList = Annotated[list[str], BeforeValidator(_listed)]
"""A list of strings, or one string with commas."""


def _wavelengths(value: Any) -> Any:
    try:
        return parse_wavelengths(value) if isinstance(value, str) else value
    except DataInvalid as error:
        raise ValueError(str(error)) from None


WavelengthList = Annotated[list[float], BeforeValidator(_wavelengths)]
"""A list of wavelengths, or a string: numbers with commas, or START:STOP:N for N even steps."""


class LoaderParams(BaseModel):
    """What every data module takes besides its own parameters.

    Attributes:
        samples_per_frame: How often each frame of the train split comes in one epoch.
        pin_memory: Batches lie in page-locked memory, where there is a GPU.
        persistent_workers: Loader processes live on between epochs.
        worker_multiprocessing_context: How loader processes start; never by fork, which hangs under gRPC's threads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples_per_frame: int = Field(default=1, ge=1)
    pin_memory: bool = False
    persistent_workers: bool = False
    worker_multiprocessing_context: Literal["forkserver", "spawn"] = "forkserver"


class WavelengthParams(LoaderParams):
    """Parameters of modules whose files may lack wavelengths; only nodes that use them ask for any.

    Attributes:
        wavelengths: Wavelengths, one per band, in place of those of the files, which then are not judged: a list,
            numbers with commas, or START:STOP:N.
        wavelength_units: Unit of the wavelengths, whatever the files say, such as nm, um, Angstrom, cm-1 or GHz.
    """

    wavelengths: WavelengthList | None = None
    wavelength_units: str | None = None

    def options(self, **more: Any) -> Options:
        """Return how files are read.

        Args:
            more: Further fields of `swath.scenes.Options`.
        """
        return Options(wavelengths=self.wavelengths, wavelength_units=self.wavelength_units, **more)


Finder = Callable[[DataDocument, Resolve], tuple[Collection, LoaderParams]]
"""A data module: checks a document's parameters and lists the frames that they name."""

P = TypeVar("P", bound=LoaderParams)


def parse_params(model: type[P], doc: DataDocument) -> P:
    """Check a document's params against a module's own.

    Raises:
        DataInvalid: The message lists parameters that are unknown, missing or of the wrong type, and the known ones.
    """
    try:
        return model.model_validate(doc.params)
    except ValidationError as error:
        faults = [
            f"params.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}".replace("params.: ", "params: ")
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        known = ", ".join(sorted(model.model_fields))
        raise DataInvalid(
            f"data module '{doc.data_module}': {'; '.join(faults)} (parameters: {known})",
            metadata={"data_module": doc.data_module},
        ) from error


def posix(path: str) -> str:
    """Return a path with forward slashes."""
    return path.replace("\\", "/")


def existing_file(resolve: Resolve, path: str, what: str) -> Path:
    """Resolve a path to an existing file.

    Raises:
        FileMissing: There is no such file.
        PathDenied: It lies outside the allowed folders.
    """
    real = resolve(path)
    if not real.is_file():
        raise FileMissing(f"{what} '{path}' does not exist", metadata={"path": path})
    return real


def existing_folder(resolve: Resolve, path: str, what: str) -> Path:
    """Resolve a path to an existing folder; raises as `existing_file`."""
    real = resolve(path)
    if not real.is_dir():
        raise FileMissing(f"{what} '{path}' is not a folder that exists", metadata={"path": path})
    return real
