"""Requests that are handled together: callers give one item each, the function gets a list."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, overload

from swath.serve.context import detached, get_multiplexed_model_id

Batched = Callable[..., Coroutine[Any, Any, Any]]


class _Item:
    __slots__ = ("args", "context", "future", "kwargs", "model_id")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], future: asyncio.Future[Any]) -> None:
        self.args = args
        self.kwargs = kwargs
        self.future = future
        self.model_id = get_multiplexed_model_id()
        self.context = detached()


class Batcher:
    """The queue of one function of one object.

    Args:
        function: Takes lists and returns one of the same length.
        options: Shared by all objects of a class.
    """

    def __init__(self, function: Batched, options: BatchOptions) -> None:
        self._function = function
        self._options = options
        self._items: list[_Item] = []
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for the answer to one item."""
        loop = asyncio.get_running_loop()
        item = _Item(args, kwargs, loop.create_future())
        self._items.append(item)
        self._start(late=self._options.wait_s <= 0)
        return await item.future

    def _start(self, late: bool) -> None:
        """Start a batch if one is full, or the oldest item has waited long enough (late)."""
        self._items = [each for each in self._items if not each.future.cancelled()]
        if not self._items or self._running >= self._options.concurrent:
            return
        full = len(self._next()) >= self._options.size
        if full or late:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._run(self._next())
            if self._items:
                self._start(late=False)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._options.wait_s, self._waited)

    def _waited(self) -> None:
        self._timer = None
        self._start(late=True)

    def _next(self) -> list[_Item]:
        first = self._items[0]
        same = [each for each in self._items if each.model_id == first.model_id]
        return same[: self._options.size]

    def _run(self, batch: list[_Item]) -> None:
        taken = set(map(id, batch))
        self._items = [each for each in self._items if id(each) not in taken]
        self._running += 1
        task = asyncio.create_task(self._batch(batch), context=batch[0].context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._running -= 1
        # What came while all were busy has waited: it does not wait again.
        self._start(late=True)

    async def _batch(self, batch: list[_Item]) -> None:
        try:
            results = await self._function(
                *([each.args[at] for each in batch] for at in range(len(batch[0].args))),
                **{name: [each.kwargs[name] for each in batch] for name in batch[0].kwargs},
            )
            if not isinstance(results, list | tuple) or len(results) != len(batch):
                got = f"{len(results)} of them" if isinstance(results, list | tuple) else type(results).__name__
                raise TypeError(
                    f"a batched function must return a list with one result per item: {len(batch)}, got {got}"
                )
        except asyncio.CancelledError:
            for item in batch:
                item.future.cancel()
            raise
        except Exception as error:  # each caller gets it
            for item in batch:
                if not item.future.done():
                    item.future.set_exception(error)
                    item.future.exception()
            return
        for item, result in zip(batch, results, strict=True):
            if not item.future.done():
                item.future.set_result(result)


class BatchOptions:
    """How a function batches.

    Args:
        size: Items at most.
        wait_s: Seconds that an item waits for others.
        concurrent: Batches at a time.

    Raises:
        TypeError: A value is no number.
        ValueError: A value cannot be had.
    """

    def __init__(self, size: int, wait_s: float, concurrent: int) -> None:
        self.size = _whole("max_batch_size", size)
        self.wait_s = _seconds(wait_s)
        self.concurrent = _whole("max_concurrent_batches", concurrent)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer from 1 on, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be an integer from 1 on, got {value}")
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"batch_wait_timeout_s must be a number from 0 on, got {value!r}")
    if not value >= 0:
        raise ValueError(f"batch_wait_timeout_s must be a number from 0 on, got {value}")
    return float(value)


@overload
def batch(function: Batched, /) -> Batched: ...


@overload
def batch(
    function: None = None,
    /,
    *,
    max_batch_size: int = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: int = 1,
) -> Callable[[Batched], Batched]: ...


def batch(
    function: Batched | None = None,
    /,
    *,
    max_batch_size: int = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: int = 1,
) -> Batched | Callable[[Batched], Batched]:
    """Make an `async def` over lists one that callers give single items to.

    A batch holds items of one multiplexed model. A failure fails all callers of its batch; a caller that was taken back
    before it started is left out. The function has `set_max_batch_size` and `set_batch_wait_timeout_s`, for
    `reconfigure`.

    Args:
        function: A method or function; each parameter is a list. It returns a list of the same length.
        max_batch_size: Items at most.
        batch_wait_timeout_s: Seconds that an item waits for others.
        max_concurrent_batches: Batches at a time.

    Raises:
        TypeError: It is no `async def`, or a value is no number.
        ValueError: A value cannot be had.
    """
    options = BatchOptions(max_batch_size, batch_wait_timeout_s, max_concurrent_batches)

    def decorated(over: Batched) -> Batched:
        if not inspect.iscoroutinefunction(over):
            raise TypeError(f"@serve.batch must be used on an `async def`, {getattr(over, '__name__', over)!r} is none")
        method = next(iter(inspect.signature(over).parameters), "") == "self"
        key = f"__swath_batch_{over.__name__}"
        own: list[Batcher] = []

        @functools.wraps(over)
        async def one(*args: Any, **kwargs: Any) -> Any:
            if method:
                owner, *rest = args
                batcher = vars(owner).get(key)
                if batcher is None:
                    batcher = vars(owner)[key] = Batcher(functools.partial(over, owner), options)
                return await batcher(*rest, **kwargs)
            if not own:
                own.append(Batcher(over, options))
            return await own[0](*args, **kwargs)

        def set_max_batch_size(value: int) -> None:
            options.size = _whole("max_batch_size", value)

        def set_batch_wait_timeout_s(value: float) -> None:
            options.wait_s = _seconds(value)

        one.set_max_batch_size = set_max_batch_size  # type: ignore[attr-defined]
        one.set_batch_wait_timeout_s = set_batch_wait_timeout_s  # type: ignore[attr-defined]
        return one

    return decorated if function is None else decorated(function)
