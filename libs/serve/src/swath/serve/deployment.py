"""Deployments: a class or a function with options, bound to arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, overload

from swath.serve.config import DeploymentOptions


class Deployment:
    """A class or function that replicas run. Made by `@deployment`; `bind` it to constructor arguments.

    Args:
        target: The class or function.
        name: Its name within the application.
        options: How it is run.
    """

    def __init__(self, target: Callable[..., Any], name: str, options: DeploymentOptions) -> None:
        self._target = target
        self._name = name
        self._options = options
        self.__doc__ = target.__doc__

    @property
    def name(self) -> str:
        """Its name within the application."""
        return self._name

    @property
    def func_or_class(self) -> Callable[..., Any]:
        """The class or function."""
        return self._target

    @property
    def settings(self) -> DeploymentOptions:
        """Its options."""
        return self._options

    @property
    def num_replicas(self) -> int | str | None:
        """The option of that name."""
        return self._options.num_replicas if self._options.scaling else self._options.replicas

    @property
    def user_config(self) -> Any:
        """The option of that name."""
        return self._options.user_config

    @property
    def max_ongoing_requests(self) -> int:
        """The option of that name."""
        return self._options.max_ongoing_requests

    @property
    def max_queued_requests(self) -> int:
        """The option of that name."""
        return self._options.max_queued_requests

    @property
    def ray_actor_options(self) -> Mapping[str, Any]:
        """The option of that name."""
        return self._options.ray_actor_options

    def options(
        self, *, name: str | None = None, func_or_class: Callable[..., Any] | None = None, **options: Any
    ) -> Deployment:
        """Return a copy with some options changed.

        Args:
            name: Name within the application.
            func_or_class: Another class or function.
            options: As `deployment` takes them.

        Raises:
            TypeError: An option is unknown.
            ValueError: One has a value that it cannot have, or two contradict one another.
        """
        target = self._target if func_or_class is None else func_or_class
        return Deployment(target, _checked_name(self._name if name is None else name), self._options.changed(options))

    def bind(self, *args: Any, **kwargs: Any) -> Application:
        """Return an application: this deployment with constructor arguments.

        Bound deployments among the arguments, in lists, tuples and dicts too, belong to the application; its
        constructor gets a `DeploymentHandle` for each.
        """
        return Application(self, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        kind = TypeError if args or kwargs else RuntimeError
        raise kind(
            f"deployment {self._name!r} cannot be called here: replicas make its object. "
            f"Use `{self._name}.bind(...)` and `serve.run`; `{self._name}.func_or_class` is what was decorated"
        )

    def __repr__(self) -> str:
        return f"Deployment(name={self._name!r})"


class Application:
    """A deployment bound to its constructor's arguments, and through them to others. Made by `Deployment.bind`.

    Args:
        deployment: The deployment that clients reach.
        args: Of its constructor.
        kwargs: Of its constructor.
    """

    def __init__(self, deployment: Deployment, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.deployment = deployment
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"Application({self.deployment.name!r})"


@overload
def deployment(target: Callable[..., Any], /) -> Deployment: ...


@overload
def deployment(
    target: None = None, /, *, name: str | None = None, **options: Any
) -> Callable[[Callable[..., Any]], Deployment]: ...


def deployment(
    target: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any
) -> Deployment | Callable[[Callable[..., Any]], Deployment]:
    """Make a deployment of a class or function: `@deployment` or `@deployment(num_replicas=2)`.

    Args:
        target: The class or function.
        name: Name within the application; that of the class or function if None.
        options: See `swath.serve.config.DeploymentOptions`.

    Raises:
        TypeError: An option is unknown (the nearest name is told), or what is decorated is neither class nor function.
        ValueError: An option has a value that it cannot have, or two contradict one another.
    """
    read = DeploymentOptions().changed(options)

    def made(decorated: Callable[..., Any]) -> Deployment:
        if isinstance(decorated, Deployment):
            raise TypeError(f"{decorated.name!r} is a deployment already: use its `.options(...)`")
        if not (inspect.isclass(decorated) or inspect.isfunction(decorated)):
            raise TypeError(f"@serve.deployment must be used on a class or a function, got {type(decorated).__name__}")
        return Deployment(decorated, _checked_name(decorated.__name__ if name is None else name), read)

    return made if target is None else made(target)


def ingress(app: Any) -> NoReturn:
    """Refuse: Ray's decorator for HTTP applications (ASGI), which are not served here.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        f"serve.ingress({type(app).__name__}): applications are served over gRPC, not HTTP. Give the deployment a "
        "method for each of your gRPC service's"
    )


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"deployment option name: expected a str, got {type(name).__name__}")
    if not name or "#" in name:
        raise ValueError(f"deployment option name: expected text without '#', got {name!r}")
    return name
