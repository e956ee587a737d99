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

from swath.documents import DataDocument, SplitsDocument
from swath.engine.data.collection import Collection, Frame, Resolve, Sample
from swath.engine.data.params import Finder, LoaderParams
from swath.engine.data.spellings import has_paths, respelled
from swath.engine.data.splits import with_file
from swath.errors import DataInvalid, SwathError

_STAGES = ("train", "val", "test", "predict")
_PATH = re.compile(r"(^|_)(path|dir|directory|folder|file|csv|root|directories|(path|dir|folder|file|root)s)$")
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
            fields = {"batch_size": doc.batch_size, "num_workers": 0, **params}
            splits = with_file(doc.splits, resolve)
            module = cls(splits=_given(splits), **fields)
            if splits is not None and has_paths(splits) and hasattr(module, "enumerate"):
                # The module was given resolved paths, which its samples are named by.
                found = {sample.source: (sample.source,) for sample in module.enumerate(frozenset())}
                module = cls(splits=_given(respelled(splits, found, resolve)), **fields)
            datasets = _datasets(module, splits=splits is not None)
        except SwathError:
            raise
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
    if splits:
        stages: tuple[str | None, ...] = (None,)
    elif getattr(module, "OWNS_SPLITS", True):
        # One by one: a module with splits of its own may have nothing for prediction, and say so by an error.
        stages = ("fit", "validate", "test")
    else:
        stages = ("predict",)
    for stage in stages:
        module.setup(stage)
    found = {stage: getattr(module, f"{stage}_ds", None) for stage in _STAGES}
    return {stage: dataset for stage, dataset in found.items() if dataset is not None}


def _resolved(key: str, value: Any, resolve: Resolve) -> Any:
    """Return a parameter; if its name says that it is a path or paths, as real paths inside the allowed folders."""
    if not _PATH.search(key):
        return value
    if isinstance(value, list):
        return [_resolved(key, item, resolve) for item in value]
    return str(resolve(value)) if isinstance(value, str) and value else value


def _given(splits: SplitsDocument | None) -> Any:
    """Return splits as a module takes them."""
    if splits is None:
        return None
    content = splits.model_dump(mode="json")
    schemas = sys.modules.get("cuvis_ai_schemas.training.data")
    return content if schemas is None else schemas.DataSplitConfig(**content)
