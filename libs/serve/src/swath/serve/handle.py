"""Calls between deployments, and from a driver: handles, and the answers that they give at once."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol, Self

from swath.serve.context import RunningRequest, running
from swath.serve.exceptions import RayServeException, ReplicaDied, RequestCancelledError, RequestTimedOut
from swath.serve.exchange import RequestFacts
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer
from swath.serve.transport.values import pack, unpack


class Caller(Protocol):
    """What carries calls out of this process: a replica's socket, or the host itself.

    Attributes:
        loop: The event loop that calls belong to.
        by_value: Whether values from here take the classes of the main module along.
    """

    loop: asyncio.AbstractEventLoop
    by_value: bool

    async def open(self, target: Target, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
        """Start a call; waits in the deployment's queue.

        Raises:
            RayServeException: It cannot start.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a handle calls.

    Attributes:
        application: The application.
        deployment: Its deployment; None for the one that clients reach.
        method: The method; "__call__" calls the object itself.
        stream: Whether it is a generator.
        multiplexed_model_id: The model that calls are for.
        session_id: The session that calls belong to.
    """

    application: str
    deployment: str | None
    method: str = "__call__"
    stream: bool = False
    multiplexed_model_id: str = ""
    session_id: str = ""


_caller: Caller | None = None
_tasks: set[asyncio.Task[Any]] = set()


def set_caller(caller: Caller | None) -> None:
    """Say what carries this process's calls."""
    global _caller
    _caller = caller


class DeploymentHandle:
    """Calls a deployment: `await handle.remote(...)`, `handle.method.remote(...).result()`.

    It may be pickled, kept and used in any replica and in the driver.

    Args:
        target: What it calls.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def app_name(self) -> str:
        """The application."""
        return self._target.application

    @property
    def deployment_name(self) -> str:
        """The deployment, "" for the one that clients of the application reach."""
        return self._target.deployment or ""

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str | None = None,
        session_id: str | None = None,
        **unused: Any,
    ) -> DeploymentHandle:
        """Return a handle that differs in some options; this one stays as it is.

        Args:
            method_name: The method to call.
            stream: Whether it is a generator.
            multiplexed_model_id: The model that calls are for.
            session_id: Calls of one session go to one replica while it lasts.
            unused: Ray's own options that begin with an underscore, which change nothing.

        Raises:
            TypeError: An option is unknown.
        """
        for name in unused:
            if not name.startswith("_") and name != "use_new_handle_api":
                raise TypeError(f"unknown option of a handle: {name!r}")
        given = {
            "method": method_name,
            "stream": stream,
            "multiplexed_model_id": multiplexed_model_id,
            "session_id": session_id,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return DeploymentHandle(replace(self._target, **changes))

    def __getattr__(self, name: str) -> DeploymentHandle:
        if name.startswith("__"):
            raise AttributeError(name)
        return DeploymentHandle(replace(self._target, method=name))

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; returns at once.

        A `DeploymentResponse` among the arguments is replaced by its value before the call starts. Whether the queue is
        full, or the call fails, is said by the answer.

        Returns:
            A `DeploymentResponse`, or a `DeploymentResponseGenerator` with `options(stream=True)`.

        Raises:
            RayServeException: Nothing carries calls in this process: no application was started here.
        """
        if _caller is None:
            raise RayServeException("handles work where applications run: call `serve.run` or `serve.start` first")
        kind = DeploymentResponseGenerator if self._target.stream else DeploymentResponse
        return kind(_caller, self._target, args, kwargs)

    def __reduce__(self) -> tuple[type[DeploymentHandle], tuple[Target]]:
        return DeploymentHandle, (self._target,)

    def __repr__(self) -> str:
        return f"DeploymentHandle(app={self.app_name!r}, deployment={self.deployment_name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeploymentHandle) and other._target == self._target

    def __hash__(self) -> int:
        return hash(self._target)


class _Answer:
    """A call that is under way, whatever its answer is."""

    def __init__(self, caller: Caller, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._caller = caller
        self._target = target
        self._parent: RunningRequest | None = running.get()
        self._facts = _facts(target, self._parent)
        self._call: Call | None = None
        self._cancelled = False
        self._task: asyncio.Task[Any] | None = None
        self._arguments = (args, kwargs)
        # Values are taken as they are now: what the caller does to them later is not seen.
        self._packed: tuple[tuple[int, ...], list[Buffer]] | Exception | None = None
        if not any(isinstance(each, _Answer) for each in (*args, *kwargs.values())):
            self._pack(args, kwargs)
        if self._parent is not None:
            self._parent.children.add(self.cancel)
        if self._on_loop():
            self._begin()
        else:
            caller.loop.call_soon_threadsafe(self._begin)

    def _pack(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        try:
            self._packed = pack((tuple(args), kwargs), self._caller.by_value)
        except Exception as error:  # said by the answer: `remote` itself never fails for what it was given
            self._packed = error
        self._arguments = ((), {})

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._caller.loop
        except RuntimeError:
            return False

    def _begin(self) -> None:
        self._task = self._caller.loop.create_task(self._run())
        _tasks.add(self._task)
        self._task.add_done_callback(self._done)
        if self._cancelled:
            self._stop()

    def _done(self, task: asyncio.Task[Any]) -> None:
        _tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody has to
        self._over()

    def _over(self) -> None:
        if self._parent is not None:
            self._parent.children.discard(self.cancel)

    async def _run(self) -> Any:
        raise NotImplementedError

    async def _open(self) -> Call:
        if self._packed is None:
            args, kwargs = self._arguments
            self._pack(
                [await _value_of(each) for each in args],
                {name: await _value_of(each) for name, each in kwargs.items()},
            )
        if isinstance(self._packed, Exception):
            raise self._packed
        assert self._packed is not None
        (sizes, parts), self._packed = self._packed, None
        about = (self._target.method, self._target.stream, as_tuple(self._facts), sizes)
        self._call = await self._caller.open(self._target, about, parts)
        return self._call

    @property
    def request_id(self) -> str:
        """Id of the request that the call belongs to: that of the request whose handler has made it."""
        return self._facts.request_id

    def cancel(self) -> None:
        """Take the call back: it leaves the queue, or its handler is stopped, whatever its kind."""
        self._cancelled = True
        if self._on_loop():
            self._stop()
        elif not self._caller.loop.is_closed():
            self._caller.loop.call_soon_threadsafe(self._stop)

    def cancelled(self) -> bool:
        """Return whether it was taken back."""
        return self._cancelled

    def _stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
        self._over()

    def _taken_back(self) -> RequestCancelledError:
        self._cancelled = True
        return RequestCancelledError(f"Request {self.request_id} was cancelled.")

    def _from_thread(self, awaitable: Any, timeout_s: float | None) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            awaitable.close()
            raise RuntimeError(
                "Sync methods should not be called from within an asyncio event loop. "
                "Use `await response` or `async for` instead."
            )
        try:
            return asyncio.run_coroutine_threadsafe(awaitable, self._caller.loop).result(timeout_s)
        except TimeoutError as error:
            if isinstance(error, RequestTimedOut) or timeout_s is None:
                raise
            raise RequestTimedOut(f"Request {self.request_id} has not ended within {timeout_s} s.") from None

    def __reduce__(self) -> NoReturn:
        raise RayServeException(
            f"{type(self).__name__} cannot be sent inside another value: give it as an argument of its own, "
            "or give its value"
        )


class DeploymentResponse(_Answer):
    """The answer of a call: `await` it in asyncio, call `.result()` elsewhere. Both may be repeated.

    A failed call raises the very exception that the handler raised, and its traceback there as the cause. Ray raises a
    class made from both, with the original as `.cause`.
    """

    async def _run(self) -> Any:
        call = await self._open()
        try:
            while await call.receive() is not None:
                pass
        except asyncio.CancelledError:
            call.cancel()
            raise
        return _value(call)

    async def _wait(self) -> Any:
        assert self._task is not None
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._task.cancelled():
                raise self._taken_back() from None
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        try:
            if self._on_loop():
                return await self._wait()
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._wait(), self._caller.loop))
        except asyncio.CancelledError:
            self.cancel()
            raise

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the value.

        Args:
            timeout_s: Seconds to wait; None for as long as it takes. The call goes on when they have passed.

        Raises:
            RuntimeError: Called where an asyncio loop runs.
            RequestTimedOut: It took longer; a TimeoutError too.
            RequestCancelledError: It was taken back.
            Exception: What the handler raised.
        """
        return self._from_thread(self._wait(), timeout_s)


class DeploymentResponseGenerator(_Answer):
    """The answers of a generator: `async for` in asyncio, `for` elsewhere. The generator waits for its reader."""

    async def _run(self) -> Call:
        return await self._open()

    async def _next(self) -> Any:
        assert self._task is not None
        try:
            call = await asyncio.shield(self._task)
            message = await call.receive()
        except asyncio.CancelledError:
            if self._cancelled:
                raise self._taken_back() from None
            raise
        if message is not None:
            sizes, payload = message
            return unpack(sizes, payload)
        if self._cancelled:
            raise self._taken_back()
        _value(call)
        raise StopAsyncIteration

    def _over(self) -> None:
        # The task ends when the call has started: what it belongs to may still take it back.
        if self._task is None or self._cancelled or self._call is None or self._call.over:
            super()._over()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._on_loop():
                return await self._next()
            later = asyncio.run_coroutine_threadsafe(self._next_or(), self._caller.loop)
            found, value = await asyncio.wrap_future(later)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if not found:
            raise StopAsyncIteration
        return value

    async def _next_or(self) -> tuple[bool, Any]:
        try:
            return True, await self._next()
        except StopAsyncIteration:
            return False, None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        found, value = self._from_thread(self._next_or(), None)
        if not found:
            raise StopIteration
        return value

    def __await__(self) -> NoReturn:
        raise TypeError("the answers of a generator are not awaited: use `async for`")

    def result(self, timeout_s: float | None = None) -> NoReturn:
        """Refuse: a generator has many answers.

        Raises:
            TypeError: Always.
        """
        raise TypeError("the answers of a generator have no `.result()`: use `for`, or `async for` in asyncio")

    def __del__(self) -> None:
        call = getattr(self, "_call", None)
        if call is not None and not call.over:
            self.cancel()


class _RemoteTraceback(Exception):
    """The traceback of an exception in the process that raised it."""


def _value(call: Call) -> Any:
    """Return what a call of Python values ended with.

    Raises:
        Exception: What its handler raised.
    """
    if call.end is None:
        raise ReplicaDied("The process of the replica ended before the call had finished.")
    (good, sizes, text, traceback), payload = call.end
    if good:
        return unpack(sizes, payload) if sizes else None
    try:
        error = unpack(sizes, payload)
    except Exception:  # its class cannot be had here
        error = RayServeException(text)
    if not isinstance(error, BaseException):
        error = RayServeException(text)
    if traceback:
        error.__cause__ = _RemoteTraceback(f"\n{traceback}")
    raise error


async def _value_of(value: Any) -> Any:
    if isinstance(value, DeploymentResponseGenerator):
        raise TypeError("the answers of a generator cannot be an argument: gather them first")
    return await value if isinstance(value, DeploymentResponse) else value


def _facts(target: Target, parent: RunningRequest | None) -> RequestFacts:
    inherited = parent.facts if parent else None
    return RequestFacts(
        request_id=inherited.request_id if inherited else str(uuid.uuid4()),
        application=target.application,
        multiplexed_model_id=target.multiplexed_model_id,
        session_id=target.session_id,
        deadline=inherited.deadline if inherited else None,
        traceparent=inherited.traceparent if inherited else "",
    )


def as_tuple(facts: RequestFacts) -> tuple[Any, ...]:
    """Return the facts as what a frame can say; `RequestFacts(*...)` reads it."""
    return (
        facts.request_id,
        facts.application,
        facts.sent_request_id,
        facts.sent_application,
        facts.multiplexed_model_id,
        facts.session_id,
        facts.metadata,
        facts.peer,
        dict(facts.auth),
        facts.deadline,
        facts.traceparent,
    )


def late(facts: RequestFacts) -> bool:
    """Return whether a request's deadline has passed."""
    return facts.deadline is not None and time.time() > facts.deadline
