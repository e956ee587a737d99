"""Code that says `from ray import serve` and cannot be changed: its imports lead to `swath.serve`.

    from swath.serve import compat

    compat.install()

or, for a program: `python -m swath.serve.compat PROGRAM.py ARGUMENTS`. Then `import ray`, `from ray import serve` and
`ray.serve.config` with all that lies beside it are this package under another name: the same modules, the same classes.
Where a real Ray is installed nothing changes, unless `replace` says so. Replicas do as the process that started them,
and without a real Ray they need no `install`: what a config file deploys is imported there alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_ROOT, _SERVE, _OURS = "ray", "ray.serve", "swath.serve"
_REPLACES = "SWATH_SERVE_REPLACES_RAY"
"""Set for the processes that this one starts: replicas import the same code."""

_log = logging.getLogger("swath.serve")


def install(*, replace: bool = False) -> bool:
    """Have `import ray` and all of `ray.serve` lead to `swath.serve` from now on. Once is enough.

    Args:
        replace: Also where a real Ray is installed. It must not have been imported.

    Returns:
        Whether they do; not where there is a real Ray that is not to be replaced.

    Raises:
        RuntimeError: The real Ray is to be replaced, and has been imported already.
    """
    if any(isinstance(each, _Finder) for each in sys.meta_path):
        return True
    if PathFinder.find_spec(_ROOT) is not None and not replace:
        return False
    if _ROOT in sys.modules:
        raise RuntimeError("compat.install: the real ray has been imported already; install before it")
    sys.meta_path.insert(0, _Finder())
    if replace:
        os.environ[_REPLACES] = "1"
    return True


def install_here() -> None:
    """Do in a process that runs users' code what the one that has started it did; without a real Ray, always."""
    install(replace=_REPLACES in os.environ)


def uninstall() -> None:
    """Undo `install`. What was imported stays imported."""
    os.environ.pop(_REPLACES, None)
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]
    for name in [each for each in sys.modules if each in (_ROOT, _SERVE) or each.startswith(f"{_SERVE}.")]:
        del sys.modules[name]


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _ROOT:
            return ModuleSpec(fullname, _Root(), is_package=True)
        if fullname != _SERVE and not fullname.startswith(f"{_SERVE}."):
            return None
        ours = _OURS + fullname.removeprefix(_SERVE)
        found = importlib.util.find_spec(ours)
        if found is None:
            return None
        return ModuleSpec(fullname, _Alias(ours), is_package=found.submodule_search_locations is not None)


class _Alias(Loader):
    """Gives a module that goes by another name."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has given it the spec of the other name.
        module.__spec__ = self._spec


class _Root(Loader):
    """Makes `ray`: as much of it as programs that only serve call."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        namespace: Any = module
        namespace.__doc__ = "swath.serve under Ray's name; see swath.serve.compat."
        namespace.init = _init
        namespace.is_initialized = lambda: True
        namespace.shutdown = _shutdown


def _init(*arguments: Any, **options: Any) -> None:
    """Do nothing: there is no cluster to connect to."""
    if arguments or options:
        _log.info("ray.init: its arguments are not used; applications run on this machine")


def _shutdown(*arguments: Any, **options: Any) -> None:
    """End all applications, as the end of Ray does."""
    importlib.import_module(_OURS).shutdown()
