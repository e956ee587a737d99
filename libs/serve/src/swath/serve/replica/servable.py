"""The user's object: made once, asked for its methods, its hooks called."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from swath.serve.application import Node
from swath.serve.config import nearest
from swath.serve.exceptions import MethodNotFound
from swath.serve.replica.threads import Threads

_HOOKS = frozenset({"reconfigure", "check_health"})


class Kind(Enum):
    """What a handler is."""

    ASYNC = "async def"
    PLAIN = "def"
    ASYNC_GENERATOR = "async def generator"
    PLAIN_GENERATOR = "def generator"


@dataclass(frozen=True, slots=True)
class Handler:
    """A method of the user's object.

    Attributes:
        name: Its name.
        function: The bound method.
        kind: How it runs.
        takes_context: Whether it has a parameter `grpc_context`.
    """

    name: str
    function: Callable[..., Any]
    kind: Kind
    takes_context: bool

    @property
    def streams(self) -> bool:
        """Whether it is a generator."""
        return self.kind in (Kind.ASYNC_GENERATOR, Kind.PLAIN_GENERATOR)


class Servable:
    """The object of a deployment's class, or its function.

    Args:
        node: The deployment.
        threads: Where plain functions run.
    """

    def __init__(self, node: Node, threads: Threads) -> None:
        self._node = node
        self._threads = threads
        self._is_function = not inspect.isclass(node.target)
        self._handlers: dict[tuple[str, bool], Handler] = {}
        target: Any = node.target
        self.object: Any = target if self._is_function else target.__new__(target)

    async def construct(self) -> None:
        """Call the constructor, which may be `async def`."""
        if self._is_function:
            return
        made: Any = self._node.target
        done = made.__init__(self.object, *self._node.args, **self._node.kwargs)
        if inspect.isawaitable(done):
            await done

    async def reconfigure(self, config: Any) -> None:
        """Give the object its `user_config`.

        Raises:
            TypeError: It cannot take one.
        """
        hook = getattr(self.object, "reconfigure", None)
        if self._is_function or not callable(hook):
            raise TypeError(
                f"user_config or rank specified but deployment {self._node.name} missing reconfigure method: "
                "give its class a `reconfigure(self, config)`"
            )
        await self._call(hook, config)

    async def check(self) -> None:
        """Ask the object whether it is well; one that has no `check_health` is."""
        hook = None if self._is_function else getattr(self.object, "check_health", None)
        if hook is not None:
            await self._call(hook)

    async def finalize(self) -> None:
        """Call the object's `__del__`, which may be `async def`, once: the process ends afterwards."""
        hook = None if self._is_function else getattr(self.object, "__del__", None)
        if hook is not None:
            await self._call(hook)

    async def _call(self, hook: Callable[..., Any], *args: Any) -> None:
        if inspect.iscoroutinefunction(hook):
            await hook(*args)
        else:
            done = await self._threads.run(functools.partial(hook, *args))
            if inspect.isawaitable(done):
                await done

    @property
    def model_limit(self) -> int:
        """Models that a replica may hold, of all its methods; 0 for none, -1 for any number."""
        own = [] if self._is_function else [getattr(type(self.object), name, None) for name in dir(type(self.object))]
        limits = [limit for each in own if (limit := getattr(each, "__swath_multiplexed__", 0))]
        return -1 if -1 in limits else sum(limits)

    def handler(self, name: str, from_client: bool) -> Handler:
        """Return a method.

        Args:
            name: Its name. A function deployment answers to every one.
            from_client: Whether a client of gRPC asks: private methods and hooks are not for it.

        Raises:
            MethodNotFound: There is none. Only callers from other deployments are told which there are.
        """
        found = self._handlers.get((name, from_client))
        if found is None:
            found = self._handlers[name, from_client] = self._find(name, from_client)
        return found

    def _find(self, name: str, from_client: bool) -> Handler:
        if self._is_function:
            return _handler(name, self.object)
        deployment = self._node.name
        hidden = name != "__call__" and (name.startswith("_") or name in _HOOKS)
        if from_client and hidden:
            raise MethodNotFound(f"Method {name!r} is not implemented by deployment {deployment!r}.")
        function = getattr(self.object, name, None)
        if function is None:
            if from_client:
                raise MethodNotFound(f"Method {name!r} is not implemented by deployment {deployment!r}.")
            known = [each for each in dir(type(self.object)) if not each.startswith("_") and each not in _HOOKS]
            raise MethodNotFound(
                f"Deployment {deployment!r} has no method {name!r}{nearest(name, known)}. "
                f"It has: {', '.join(known) or 'none'}."
            )
        if not callable(function):
            raise TypeError(f"{name!r} of deployment {deployment!r} is not a callable object")
        return _handler(name, function)


def _handler(name: str, function: Callable[..., Any]) -> Handler:
    whole = inspect.unwrap(function)
    called = whole if inspect.isroutine(whole) or isinstance(whole, functools.partial) else type(whole).__call__
    if inspect.isasyncgenfunction(called):
        kind = Kind.ASYNC_GENERATOR
    elif inspect.isgeneratorfunction(called):
        kind = Kind.PLAIN_GENERATOR
    elif inspect.iscoroutinefunction(called) or asyncio.iscoroutinefunction(function):
        kind = Kind.ASYNC
    else:
        kind = Kind.PLAIN
    try:
        takes_context = "grpc_context" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_context = False
    return Handler(name, function, kind, takes_context)
