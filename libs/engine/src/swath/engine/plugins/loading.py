"""Imports the code of plugins into this process, if the operator's allow list permits it.

A process can hold one version of a package. So each top-level package belongs to the plugin folder that it was first
imported from, and another plugin with a package of that name is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch

from swath.documents import PluginSource
from swath.engine.data.params import Finder
from swath.engine.graph.node import Node
from swath.engine.plugins.checkout import checkout
from swath.engine.plugins.reference import adapt, is_reference
from swath.engine.plugins.reference_data import finder, is_reference_data
from swath.engine.plugins.settings import PluginSettings
from swath.errors import DependencyMissing, GraphInvalid, InvalidInput, Precondition

_importing = threading.RLock()
_owners: dict[str, Path] = {}
"""Plugin folder that each top-level package was imported from."""


class Plugins:
    """Classes of the plugins that a pipeline needs.

    Args:
        sources: The plugins that the pipeline carries.
        settings: What the operator allows; read from the environment by default.
    """

    def __init__(self, sources: Iterable[PluginSource] = (), settings: PluginSettings | None = None) -> None:
        self.sources = tuple(sources)
        self._settings = settings

    def node(self, class_name: str, *, named: bool) -> type[Node] | None:
        """Return the node class of a name, None if no plugin has it.

        Args:
            class_name: Full dotted name.
            named: Whether to search the plugins that the pipeline names, or the others.

        Raises:
            GraphInvalid: It is no node class, or several plugins have it.
            PluginDenied, DependencyMissing, Precondition: The plugin cannot be loaded here.
        """
        offers = [source for source in self.sources if source.named is named and class_name in source.nodes]
        if not offers:
            return None
        if len(offers) > 1:
            raise GraphInvalid(
                f"Node class '{class_name}' is offered by plugins {', '.join(source.name for source in offers)}: "
                "register one of them",
                metadata={"class_name": class_name},
            )
        return _node_class(self._load(offers[0], class_name), offers[0])

    def data_module(self, name: str, *, named: bool) -> Finder | None:
        """Return the finder of a data module, None if no plugin has one of that name.

        Args:
            name: Name in a data document.
            named: Whether to search the plugins that the pipeline names, or the others.

        Raises:
            InvalidInput: What the plugin has is no data module.
            PluginDenied, DependencyMissing, Precondition: The plugin cannot be loaded here.
        """
        for source in self.sources:
            if source.named is named and name in source.data_modules:
                found = self._load(source, source.data_modules[name])
                if is_reference_data(found):
                    return finder(found)
                if callable(found) and not isinstance(found, type):
                    return cast(Finder, found)
                raise InvalidInput(
                    f"{source.data_modules[name]} of plugin '{source.name}' is no data module: expected a function "
                    "that lists frames (swath.engine.data.params.Finder) or a class with setup and *_dataloader"
                )
        return None

    def data_modules(self) -> list[str]:
        """Return the names of all data modules of plugins."""
        return sorted({name for source in self.sources for name in source.data_modules})

    def _load(self, source: PluginSource, dotted: str) -> Any:
        settings = self._settings or PluginSettings()
        settings.require(source)
        if source.path is not None:
            folder = Path(source.path).resolve()
        else:
            assert source.repo is not None
            assert source.tag is not None
            folder = checkout(source.repo, source.tag, settings.plugin_cache, settings.plugin_git_timeout_s)
        module_name, _, attribute = dotted.rpartition(".")
        with _importing:
            module = _import(source, folder, module_name)
        found = getattr(module, attribute, None)
        if found is None:
            raise GraphInvalid(
                f"plugin '{source.name}' offers '{dotted}', but {module.__file__} has no {attribute}",
                metadata={"class_name": dotted, "plugin": source.name},
            )
        return found


def import_root(folder: Path, package: str) -> Path | None:
    """Return the folder of a plugin to put on the import path, which contains the package; None if there is none.

    A plugin is a folder of packages (site-packages too), a project with its code below ``src``, or a package itself.
    """
    for root in (folder, folder / "src", *([folder.parent] if folder.name == package else [])):
        if (root / package).is_dir() or (root / f"{package}.py").is_file():
            return root
    return None


def _import(source: PluginSource, folder: Path, module_name: str) -> ModuleType:
    package = module_name.partition(".")[0]
    root = import_root(folder, package)
    if root is None:
        raise Precondition(
            f"plugin '{source.name}' from {source.place} has no package '{package}', neither in {folder} nor in its src"
        )
    owner = _owners.get(package)
    if owner is None:
        _refuse_shadowing(source, package, root)
    elif owner != root:
        raise Precondition(
            f"plugin '{source.name}' from {source.place} brings package '{package}', which this process has loaded "
            f"from {owner} already; a process holds one version of a package"
        )
    if str(root) not in sys.path:
        # At the end, so that packages of the services take precedence over those of plugins.
        sys.path.append(str(root))
        importlib.invalidate_caches()
    _owners[package] = root
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module_name or module_name.startswith(f"{missing}."):
            raise Precondition(f"plugin '{source.name}' from {source.place} has no module '{module_name}'") from error
        raise DependencyMissing(
            f"plugin '{source.name}' needs the package '{missing}', which is not installed on this server"
        ) from error
    except Exception as error:  # a plugin's code may raise anything
        raise Precondition(
            f"plugin '{source.name}' from {source.place}: importing {module_name} failed: "
            f"{type(error).__name__}: {error}"
        ) from error


def _refuse_shadowing(source: PluginSource, package: str, root: Path) -> None:
    """Refuse a package whose name is taken by another package of this environment."""
    spec = importlib.util.find_spec(package) if package not in sys.modules else sys.modules[package].__spec__
    if spec is None:
        return
    places = [Path(place) for place in (spec.submodule_search_locations or ()) or [spec.origin or ""]]
    if not any(place.resolve().is_relative_to(root.resolve()) for place in places):
        raise Precondition(
            f"plugin '{source.name}' from {source.place} brings package '{package}', which is another one here "
            f"({places[0]})"
        )


def _node_class(found: Any, source: PluginSource) -> type[Node]:
    if isinstance(found, type) and issubclass(found, Node):
        return found
    if is_reference(found):
        return _adapted(found)
    raise GraphInvalid(
        f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', found)} of plugin '{source.name}' is no "
        "node class: expected a subclass of swath.engine.graph.node.Node, or a torch module with INPUT_SPECS and "
        "OUTPUT_SPECS",
        metadata={"plugin": source.name},
    )


@cache
def _adapted(cls: type[torch.nn.Module]) -> type[Node]:
    return adapt(cls)
