"""Finds what import paths name: applications, functions that build them, servicer functions."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from swath.errors import ConfigInvalid
from swath.serve.application import Application
from swath.serve.config import nearest
from swath.serve.deployment import Deployment


@contextmanager
def code_in(folders: typing.Iterable[Path]) -> Iterator[None]:
    """Have modules of folders found before all others, in a `with` block."""
    added = [str(folder) for folder in folders]
    before = list(sys.path)
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def find(import_path: str) -> Any:
    """Return what an import path names.

    Args:
        import_path: `module:attribute` or `module.attribute`.

    Raises:
        ConfigInvalid: It names nothing; the message says how far it leads, and the nearest name there.
    """
    name, _, rest = import_path.partition(":") if ":" in import_path else import_path.rpartition(".")
    if not name or not rest or not all(part.isidentifier() for part in (*name.split("."), *rest.split("."))):
        raise ConfigInvalid(
            f"{import_path!r} is no import path: expected module:attribute or module.attribute, such as 'my_app:app'"
        )
    found: Any = _module(name, import_path)
    for part in rest.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            there = [each for each in vars(found) if not each.startswith("_")] if hasattr(found, "__dict__") else []
            where = f"module {name!r}" if isinstance(found, ModuleType) else f"{found!r:.60}"
            raise ConfigInvalid(
                f"{import_path!r} does not resolve: {where} has no {part!r}{nearest(part, there)}"
            ) from None
    return found


def application(import_path: str, args: Mapping[str, Any]) -> Application:
    """Return the application that an import path names, built if it names a function.

    Args:
        import_path: `module:attribute` or `module.attribute`.
        args: For the function, as one mapping.

    Raises:
        ConfigInvalid: It names neither, or the function does not build one.
    """
    found = find(import_path)
    if isinstance(found, Application):
        if args:
            raise ConfigInvalid(
                f"args are given, but {import_path!r} is an application that is built already: expected no args, or a "
                "function that takes them"
            )
        return found
    if isinstance(found, Deployment):
        raise ConfigInvalid(
            f"{import_path!r} is a deployment that is not bound: expected an application, as {found.name}.bind() makes"
        )
    if not inspect.isfunction(found):
        raise ConfigInvalid(
            f"{import_path!r} is {_what(found)}: expected an application, as .bind() makes, or a function that returns "
            "one"
        )
    return _built(found, import_path, args)


def servicer_function(import_path: str) -> Callable[..., Any]:
    """Return the function that an import path names, which adds a servicer to a server.

    Raises:
        ConfigInvalid: It names none; the nearest one of its module is named.
    """
    found = find(import_path)
    if not is_servicer_function(found):
        module = sys.modules.get(getattr(found, "__module__", "") or "") or found
        functions = [name for name, each in inspect.getmembers(module, is_servicer_function)]
        hint = nearest(import_path.rpartition(".")[2], functions)
        raise ConfigInvalid(
            f"{import_path!r} is {_what(found)}: expected a function add_<Service>Servicer_to_server(servicer, server) "
            f"of a module that grpcio-tools made{hint}"
        )
    return found


def is_servicer_function(value: Any) -> bool:
    """Whether something looks like a function that adds a servicer to a server."""
    if not inspect.isfunction(value):
        return False
    parameters = [each for each in inspect.signature(value).parameters.values() if each.default is each.empty]
    return [each.name for each in parameters] == ["servicer", "server"] or (
        value.__name__.startswith("add_") and value.__name__.endswith("_to_server") and len(parameters) == 2
    )


def _module(name: str, import_path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Of the path itself, or of something that its module imports.
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigInvalid(
                f"{import_path!r} does not resolve: there is no module {missing!r}"
                f"{nearest(missing.rpartition('.')[2], _siblings(missing))}"
            ) from None
        raise ConfigInvalid(f"{import_path!r} cannot be imported: it imports {missing!r}, which is not there") from None
    except ConfigInvalid:
        raise
    except Exception as error:
        raise ConfigInvalid(f"{import_path!r} cannot be imported: {type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise ConfigInvalid(f"{import_path!r} cannot be imported: it ends the process ({error})") from error


def _siblings(name: str) -> list[str]:
    """Return the names of modules that lie where a module should."""
    package = name.rpartition(".")[0]
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        return []
    # Of what is installed there is too much to be near to anything.
    places = list(spec.submodule_search_locations or ()) if spec is not None else sys.path[:3]
    return [each.name for each in pkgutil.iter_modules(places)]


def _built(builder: Callable[..., Any], import_path: str, args: Mapping[str, Any]) -> Application:
    required = list(inspect.signature(builder).parameters.values())
    if len(required) != 1:
        raise ConfigInvalid(
            f"{import_path!r} takes {len(required)} parameters: expected a function of one, the mapping of args"
        )
    given: Any = dict(args)
    try:
        wanted = typing.get_type_hints(builder).get(required[0].name)
    except Exception:  # an annotation that names nothing is no reason to refuse
        wanted = None
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        try:
            given = wanted.model_validate(given)
        except ValidationError as error:
            said = "; ".join(f"args.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise ConfigInvalid(f"{import_path!r} does not take these args: {said}") from error
    try:
        built = builder(given)
    except KeyError as error:
        raise ConfigInvalid(f"{import_path!r} cannot build: it needs args.{error.args[0]}") from error
    except Exception as error:
        raise ConfigInvalid(f"{import_path!r} cannot build: {type(error).__name__}: {error}") from error
    if not isinstance(built, Application):
        raise ConfigInvalid(f"{import_path!r} returned {_what(built)}: expected an application, as .bind() makes")
    return built


def _what(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "a module"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if inspect.isfunction(value):
        return f"the function {value.__name__}{inspect.signature(value)}"
    return f"{type(value).__name__} {value!r:.60}" if value is not None else "None"
