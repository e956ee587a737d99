"""Applications as what replicas need: their deployments, each with its arguments, and where they are imported from."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from swath.serve.config import DeploymentOptions, nearest, said
from swath.serve.deployment import Application, Deployment
from swath.serve.exceptions import RayServeException
from swath.serve.handle import DeploymentHandle, Target


@dataclass(frozen=True, slots=True)
class Node:
    """A deployment of an application.

    Attributes:
        name: Its name.
        target: The class or function.
        args: Of the constructor; handles in place of bound deployments.
        kwargs: Of the constructor.
        options: How it is run.
    """

    name: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: DeploymentOptions


def nodes(application: Application, name: str) -> list[Node]:
    """Return the deployments of an application, each after those that it has handles of; the last one clients reach.

    Two bound deployments of one name and other arguments are told apart by a number: "Model", "Model_1".

    Args:
        application: What was bound.
        name: Name of the application.
    """
    found: dict[int, Node] = {}
    names: set[str] = set()

    def visit(bound: Application) -> DeploymentHandle:
        node = found.get(id(bound))
        if node is None:
            args = tuple(replaced(each) for each in bound.args)
            kwargs = {key: replaced(each) for key, each in bound.kwargs.items()}
            deployment: Deployment = bound.deployment
            unique, number = deployment.name, 0
            while unique in names:
                number += 1
                unique = f"{deployment.name}_{number}"
            names.add(unique)
            node = found[id(bound)] = Node(unique, deployment.func_or_class, args, kwargs, deployment.settings)
        return DeploymentHandle(Target(name, node.name))

    def replaced(value: Any) -> Any:
        if isinstance(value, Application):
            return visit(value)
        if isinstance(value, Deployment):
            raise TypeError(f"deployment {value.name!r} is given as an argument: bind it first, {value.name}.bind(...)")
        if type(value) in (list, tuple):
            return type(value)(replaced(each) for each in value)
        if type(value) is dict:
            return {key: replaced(each) for key, each in value.items()}
        return value

    visit(application)
    return list(found.values())


def import_application(import_path: str, args: Mapping[str, Any] | None = None) -> Application:
    """Import an application, or the function that builds it and call that.

    Args:
        import_path: "module:attribute" or "module.attribute": an Application, or a function that returns one.
        args: The one argument of the function, a dict; a model of pydantic if its annotation says so.

    Raises:
        RayServeException: It cannot be imported, or is no application.
        ValueError: Arguments are given for an application that is bound already.
    """
    found = import_attribute(import_path)
    if isinstance(found, Application):
        if args:
            raise ValueError(
                f"{import_path}: args are given, but it is a bound Application and no function that builds one"
            )
        return found
    if isinstance(found, Deployment):
        raise RayServeException(f"{import_path} is a deployment that is not bound: export {found.name}.bind(...)")
    if not inspect.isfunction(found):
        raise RayServeException(
            f"{import_path}: expected an Application or a function that returns one, got {type(found).__name__}"
        )
    built = _build(found, import_path, dict(args or {}))
    if not isinstance(built, Application):
        raise RayServeException(f"{import_path}: the function must return an Application, got {type(built).__name__}")
    return built


def _build(builder: Callable[..., Any], import_path: str, args: dict[str, Any]) -> Any:
    parameters = list(inspect.signature(builder).parameters.values())
    if not parameters and not args:
        return builder()
    if len(parameters) != 1:
        raise RayServeException(
            f"{import_path}: the function must take one argument, a dict; it takes {len(parameters)}"
        )
    hints = (
        inspect.get_annotations(builder, eval_str=True)
        if parameters[0].annotation is not inspect.Parameter.empty
        else {}
    )
    model = hints.get(parameters[0].name)
    if inspect.isclass(model) and issubclass(model, BaseModel):
        try:
            return builder(model.model_validate(args))
        except ValidationError as error:
            raise ValueError(f"{import_path}: args: {said(error)}") from None
    return builder(args)


def import_attribute(import_path: str) -> Any:
    """Return what an import path names.

    Raises:
        RayServeException: The module or the attribute is not there (the nearest name is told), or importing it failed.
    """
    module_name, _, attribute = import_path.partition(":") if ":" in import_path else import_path.rpartition(".")
    if not module_name or not attribute:
        raise RayServeException(f"import path {import_path!r}: expected 'module:attribute' or 'module.attribute'")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RayServeException(f"import path {import_path!r}: no module named {error.name!r}") from error
    except Exception as error:
        raise RayServeException(f"import path {import_path!r}: {type(error).__name__}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [each for each in dir(found) if not each.startswith("_")]
            raise RayServeException(
                f"import path {import_path!r}: {module_name!r} has no attribute {attribute!r}{nearest(part, known)}"
            )
        found = getattr(found, part)
    return found
