"""What is to be deployed."""

from __future__ import annotations

import functools
import importlib.machinery
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from swath.serve.application import nodes
from swath.serve.config import DeploymentOptions
from swath.serve.deployment import Application
from swath.serve.exceptions import RayServeException
from swath.serve.replica.definition import dump_config, modules_to_load


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """A deployment of an application.

    Attributes:
        name: Its name.
        options: How it is run, without its `user_config`.
        user_config: That, pickled; empty for none.
        pickled: Its class or function and arguments, pickled by a driver; empty where replicas import them.
    """

    name: str
    options: DeploymentOptions
    user_config: bytes = b""
    pickled: bytes = b""


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """An application: what a config file's entry says, or what a driver has built.

    Attributes:
        name: Its name; unique and not empty.
        import_path: "module:attribute", which replicas import; empty where a driver gives `deployments`.
        args: Of the function that builds it.
        overrides: Options of deployments by name, over those in the code.
        deployments: What a driver has built, the one that clients reach last.
        folders: To import from, before all others.
        variables: Environment variables of its replicas.
        preload: Modules to import before replicas are forked, beside the obvious ones.
        servicer_functions: Import paths of the functions that add its services to a server.
        code_version: Digest of its code: another one makes new replicas.
        image: Container image of its replicas, where each has a container; empty for the launcher's.
        bundle: Digest by which replicas elsewhere fetch its code.
        route_prefix: Taken and not used, since HTTP is not served.
    """

    name: str = "default"
    import_path: str = ""
    args: Mapping[str, Any] | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deployments: tuple[DeploymentSpec, ...] = ()
    folders: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()
    servicer_functions: tuple[str, ...] = ()
    code_version: str = ""
    image: str = ""
    bundle: str = ""
    route_prefix: str | None = "/"


def spec_of(application: Application, name: str, route_prefix: str | None = "/") -> ApplicationSpec:
    """Return the spec of an application that was built in this process; its code is pickled.

    Raises:
        RayServeException: Something in it cannot be pickled. The text names the deployment.
    """
    found = nodes(application, name)
    specs: list[DeploymentSpec] = []
    with _by_value([node.target for node in found]):
        for node in found:
            try:
                pickled = cloudpickle.dumps((node.target, node.args, node.kwargs))
            except (TypeError, pickle.PicklingError, RayServeException, AttributeError, ValueError) as error:
                raise RayServeException(
                    f"deployment {node.name!r} cannot be sent to its replicas: {type(error).__name__}: {error}"
                ) from error
            options = node.options.model_copy(update={"user_config": None})
            specs.append(DeploymentSpec(node.name, options, dump_config(node.options.user_config), pickled))
    return ApplicationSpec(
        name=name,
        deployments=tuple(specs),
        folders=tuple(folder for folder in sys.path if folder),
        preload=tuple(each for each in modules_to_load([node.target for node in found]) if _importable(each)),
        route_prefix=route_prefix,
    )


@contextmanager
def _by_value(targets: list[Any]) -> Iterator[None]:
    """Have modules that replicas cannot import travel with what is pickled: notebooks' and tests' own."""
    names = {getattr(target, "__module__", None) for target in targets}
    modules = [sys.modules[name] for name in names if name and name != "__main__" and not _importable(name)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


@functools.cache
def _importable(name: str) -> bool:
    """Return whether another process finds a module under its name."""
    path: Any = None
    spec = None
    found = ""
    for part in name.split("."):
        found = f"{found}.{part}" if found else part
        try:
            spec = importlib.machinery.PathFinder.find_spec(found, path)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return name in sys.builtin_module_names
        path = spec.submodule_search_locations
    module = sys.modules.get(name)
    here = getattr(getattr(module, "__spec__", None), "origin", None)
    return spec is not None and (here is None or spec.origin == here)
