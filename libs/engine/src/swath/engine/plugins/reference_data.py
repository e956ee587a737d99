"""Data modules of the reference package's base class, as this engine's.

Only the data sets of the stages are taken from such a module. Order, batches, loader processes and resuming in the
middle of an epoch are this engine's, as for its own modules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swath.documents import DataDocument
from swath.engine.data.collection import Collection, Frame, Resolve, Sample
from swath.engine.data.params import Finder, LoaderParams
from swath.errors import DataInvalid

_STAGES = ("train", "val", "test", "predict")
_PATH = re.compile(r"(^|_)(path|dir|folder|file|csv|root)$")
_OPTIONS = ("samples_per_frame", "pin_memory", "persistent_workers")


def is_reference_data(found: Any) -> bool:
    """Whether something is a class that `finder` takes."""
    return isinstance(found, type) and all(
        callable(getattr(found, name, None)) for name in ("setup", "train_dataloader")
    )


def finder(cls: type[Any]) -> Finder:
    """Return a finder for a class of the reference's base class."""

    def find(doc: DataDocument, resolve: Resolve) -> tuple[Collection, LoaderParams]:
        name = doc.data_module
        params = {key: _resolved(key, value, resolve) for key, value in doc.params.items()}
        options = LoaderParams(**{key: params.pop(key) for key in _OPTIONS if key in params})
        try:
            if hasattr(cls, "validate_params"):
                cls.validate_params(params)
            module = cls(splits=_splits(doc, resolve), batch_size=doc.batch_size, num_workers=0, **params)
            datasets = _datasets(module, splits=doc.splits is not None)
        except Exception as error:  # a plugin's code may raise anything
            text = str(error).strip() or type(error).__name__
            raise DataInvalid(
                f"data module '{name}' ({cls.__name__}): {text}", metadata={"data_module": name}
            ) from error
        for stage, dataset in datasets.items():
            if not hasattr(dataset, "__len__"):
                raise DataInvalid(f"data module '{name}' ({cls.__name__}): the {stage} split is not of a known length")
        stages = {
            stage: tuple(Sample(stage, index, Path(), position=index) for index in range(len(dataset)))
            for stage, dataset in datasets.items()
        }
        return Collection((), _Reader(datasets), stages=stages, assigned=True), options

    return find


@dataclass(frozen=True)
class _Reader:
    """Reads one frame of one stage."""

    datasets: Mapping[str, Any]

    def __call__(self, sample: Sample) -> Frame:
        assert sample.index is not None
        return dict(self.datasets[sample.source][sample.index])


def _datasets(module: Any, *, splits: bool) -> dict[str, Any]:
    """Make a module set up its data sets; return those that it has, by stage."""
    if splits or getattr(module, "OWNS_SPLITS", True):
        module.setup(None)
    else:
        module.setup("predict")
    found = {stage: getattr(module, f"{stage}_ds", None) for stage in _STAGES}
    return {stage: dataset for stage, dataset in found.items() if dataset is not None}


def _resolved(key: str, value: Any, resolve: Resolve) -> Any:
    """Return a parameter; if its name says that it is a path, as a real path inside the allowed folders."""
    return str(resolve(value)) if isinstance(value, str) and value and _PATH.search(key) else value


def _splits(doc: DataDocument, resolve: Resolve) -> Any:
    if doc.splits is None:
        return None
    content = doc.splits.model_dump(mode="json")
    if content["splits_path"]:
        content["splits_path"] = str(resolve(content["splits_path"]))
    schemas = sys.modules.get("cuvis_ai_schemas.training.data")
    return content if schemas is None else schemas.DataSplitConfig(**content)
