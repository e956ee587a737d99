"""Several models in one replica: loaded when a request asks for one, let go when others need the place."""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, overload

from swath.serve.context import detached, get_multiplexed_model_id, running

Loader = Callable[..., Coroutine[Any, Any, Any]]

_told: Callable[[list[str]], None] | None = None
_caches: weakref.WeakSet[ModelCache] = weakref.WeakSet()


def tell(told: Callable[[list[str]], None] | None) -> None:
    """Have a function told of all models that this process holds, after each change."""
    global _told
    _told = told


class _Held:
    __slots__ = ("model", "users")

    def __init__(self, model: Any) -> None:
        self.model = model
        self.users = 0


class ModelCache:
    """Models that one loader has loaded, the ones used last at the end.

    Args:
        load: Loads a model by its id.
        limit: Models to hold; -1 for any number.
    """

    def __init__(self, load: Callable[[str], Awaitable[Any]], limit: int) -> None:
        self._load = load
        self._limit = limit
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._loading: dict[str, asyncio.Task[_Held]] = {}
        self._awaited: Counter[str] = Counter()
        # Not where it is made: that function is pickled with copies of what it names.
        _caches.add(self)

    @property
    def models(self) -> list[str]:
        """Ids of what is held."""
        return list(self._held)

    async def get(self, model_id: str) -> Any:
        """Return a model, loaded by the first of those who ask at a time.

        Others' models are not waited for. A model is let go after another one was loaded well, the one used longest ago
        first, and none that a running request has asked for: rather there is one more for a while.

        Raises:
            TypeError: The id is no text.
            ValueError: The id is empty.
            Exception: What the loader raised; the next request tries again.
        """
        if not isinstance(model_id, str):
            raise TypeError(f"The model ID must be a str, got {type(model_id).__name__}.")
        if not model_id:
            raise ValueError("The model ID cannot be empty.")
        held = self._held.get(model_id)
        if held is None:
            task = self._loading.get(model_id)
            if task is None:
                task = self._loading[model_id] = asyncio.create_task(self._loaded(model_id), context=detached())
                task.add_done_callback(functools.partial(self._settle, model_id))
            self._awaited[model_id] += 1
            try:
                # Whoever asked first may be taken back: the others still want it.
                held = await asyncio.shield(task)
            finally:
                self._awaited[model_id] -= 1
        self._use(model_id, held)
        self._evict()
        return held.model

    async def _loaded(self, model_id: str) -> _Held:
        return _Held(await self._load(model_id))

    def _settle(self, model_id: str, task: asyncio.Task[_Held]) -> None:
        self._loading.pop(model_id, None)
        if not task.cancelled() and task.exception() is None:
            self._held[model_id] = task.result()
            _tell_all()

    def _use(self, model_id: str, held: _Held) -> None:
        if self._held.get(model_id) is held:
            self._held.move_to_end(model_id)
        request = running.get()
        if request is not None:
            held.users += 1
            request.ended.append(functools.partial(self._release, held))

    def _release(self, held: _Held) -> None:
        held.users -= 1
        self._evict()

    def _evict(self) -> None:
        excess = len(self._held) - self._limit if self._limit > 0 else 0
        if excess <= 0:
            return
        # The last one was loaded for somebody who is about to use it.
        idle = [name for name, held in list(self._held.items())[:-1] if self._idle(name, held)]
        for name in idle[:excess]:
            # Its `__del__`, if it has one, is called by Python: once, when nobody has it any more.
            del self._held[name]
        if idle:
            _tell_all()

    def _idle(self, name: str, held: _Held) -> bool:
        return held.users == 0 and self._awaited[name] <= 0


def _tell_all() -> None:
    if _told is not None:
        _told([model for cache in _caches for model in cache.models])


@overload
def multiplexed(function: Loader, /) -> Loader: ...


@overload
def multiplexed(function: None = None, /, *, max_num_models_per_replica: int = 3) -> Callable[[Loader], Loader]: ...


def multiplexed(
    function: Loader | None = None, /, *, max_num_models_per_replica: int = 3
) -> Loader | Callable[[Loader], Loader]:
    """Make an `async def load(self, model_id)` keep the models that it loads.

    Unlike Ray's: models are loaded side by side, each once; none is let go before another was loaded well, nor while a
    request uses it; `__del__` of a model runs once; each decorated method has models of its own.

    Args:
        function: The method, or a function, with one `model_id: str`. Without one, that of the request is taken.
        max_num_models_per_replica: Models to hold; -1 for any number.

    Raises:
        TypeError: It is no `async def` with one model id.
        ValueError: The number is 0 or below -1.
    """
    limit = max_num_models_per_replica
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise TypeError(f"max_num_models_per_replica must be an integer, got {type(limit).__name__}")
    if limit == 0 or limit < -1:
        raise ValueError(f"max_num_models_per_replica must be positive, or -1 for any number, got {limit}")

    def decorated(load: Loader) -> Loader:
        if not inspect.iscoroutinefunction(load):
            raise TypeError(
                f"@serve.multiplexed must be used on an `async def`, {getattr(load, '__name__', load)!r} is none"
            )
        names = list(inspect.signature(load).parameters)
        method = len(names) == 2
        if len(names) not in (1, 2):
            raise TypeError(
                f"@serve.multiplexed: {load.__name__} must take one model id, it takes {', '.join(names) or 'nothing'}"
            )
        key = f"__swath_models_{load.__name__}"
        own: list[ModelCache] = []

        @functools.wraps(load)
        async def get(*args: Any, **kwargs: Any) -> Any:
            given = [*args, *kwargs.values()]
            owner = given.pop(0) if method else None
            model_id = given[0] if given else get_multiplexed_model_id()
            cache = vars(owner).get(key) if method else next(iter(own), None)
            if cache is None:
                bound = functools.partial(load, owner) if method else load
                cache = ModelCache(bound, limit)
                if method:
                    vars(owner)[key] = cache
                else:
                    own.append(cache)
            return await cache.get(model_id)

        get.__swath_multiplexed__ = limit  # type: ignore[attr-defined]
        return get

    return decorated if function is None else decorated(function)
