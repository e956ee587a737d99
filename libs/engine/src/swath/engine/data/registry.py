"""Data modules by name."""

from __future__ import annotations

from typing import Protocol

from swath.documents import DataDocument
from swath.engine.data.collection import Resolve
from swath.engine.data.module import DataModule, FrameModule
from swath.engine.data.modules.cu3s import find_cu3s, find_cu3s_multi
from swath.engine.data.modules.npz_multi import find_npz_multi
from swath.engine.data.modules.single_scene import find_scene
from swath.engine.data.modules.tiff_paired import find_tiff_paired
from swath.engine.data.params import Finder
from swath.engine.data.splits import assign
from swath.errors import FileMissing, InvalidInput

_FINDERS: dict[str, Finder] = {
    "cu3s": find_cu3s,
    "cu3s_multi": find_cu3s_multi,
    "npz_multi": find_npz_multi,
    "scene": find_scene,
    "tiff_paired": find_tiff_paired,
}


class FinderSource(Protocol):
    """Where data modules come from beside the built-in ones: plugins."""

    def data_module(self, name: str, *, named: bool) -> Finder | None:
        """As `swath.engine.plugins.loading.Plugins.data_module`."""
        ...

    def data_modules(self) -> list[str]:
        """Return the names of all data modules."""
        ...


def available() -> list[str]:
    """Return the names of all data modules, sorted."""
    return sorted(_FINDERS)


def register(name: str, finder: Finder) -> None:
    """Add a data module under a name.

    Raises:
        InvalidInput: The name is taken.
    """
    if name in _FINDERS:
        raise InvalidInput(f"a data module '{name}' is there already")
    _FINDERS[name] = finder


def build(doc: DataDocument, resolve: Resolve, *, seed: int, plugins: FinderSource | None = None) -> DataModule:
    """Make the data module that a document names, with its splits resolved and checked.

    Args:
        doc: What to read and how to split it.
        resolve: Turns paths of the document into real ones; relative ones (including ``splits_path``, which cuvis_ai.v1
            refuses) are relative to the workspace.
        seed: Determines the order of the train split, together with the epoch.
        plugins: Plugins of the pipeline. Modules of plugins that the pipeline names take precedence over built-in ones.

    Raises:
        InvalidInput: There is no such module, or it does not take the parameters.
        PluginDenied: It is of a plugin that may not run here.
        DataInvalid: Files or splits are invalid.
        FileMissing: A file that a split needs does not exist.
        DependencyMissing: The module needs a package that is not installed.
    """
    finder = None if plugins is None else plugins.data_module(doc.data_module, named=True)
    finder = finder or _FINDERS.get(doc.data_module)
    if finder is None and plugins is not None:
        finder = plugins.data_module(doc.data_module, named=False)
    if finder is None:
        known = sorted({*available(), *(plugins.data_modules() if plugins is not None else ())})
        raise InvalidInput(
            f"no plugin provides data module '{doc.data_module}'; available: {known}. A plugin is to be registered and "
            "allowed before its pipeline is loaded"
        )
    collection, options = finder(doc, resolve)
    stages = dict(collection.stages) if collection.assigned else assign(doc.splits, collection, resolve)
    for sample in {sample for samples in stages.values() for sample in samples if not collection.assigned}:
        if not sample.file.exists():
            raise FileMissing(
                f"data file '{sample.file.name}' of frame {sample.uid} does not exist", metadata={"frame": sample.uid}
            )
    return FrameModule(
        collection,
        stages,
        options,
        batch_size=doc.batch_size,
        num_workers=doc.num_workers,
        seed=seed,
    )
