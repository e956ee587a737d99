"""Calls of deployments, and the answer that is one value."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from swath.serve.context import running
from swath.serve.exceptions import RayServeException, ReplicaDied
from swath.serve.handle.answers import Answer, Response, argument
from swath.serve.handle.target import Caller, Target, as_tuple, facts_of
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer
from swath.serve.transport.values import pack, unpack


class Called(Answer):
    """The call of a deployment that is under way, whatever its answer is."""

    def __init__(self, caller: Caller, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        parent = running.get()
        super().__init__(caller.loop, parent, facts_of(target, parent))
        self._caller = caller
        self._target = target
        self._call: Call | None = None
        self._arguments = (args, kwargs)
        # Values are taken as they are now: what the caller does to them later is not seen.
        self._packed: tuple[tuple[int, ...], list[Buffer]] | Exception | None = None
        if not any(isinstance(each, Answer) for each in (*args, *kwargs.values())):
            self._pack(args, kwargs)
        self._start()

    def _pack(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        try:
            self._packed = pack((tuple(args), kwargs), self._caller.by_value)
        except Exception as error:  # said by the answer: `remote` itself never fails for what it was given
            self._packed = error
        self._arguments = ((), {})

    async def _open(self) -> Call:
        if self._packed is None:
            args, kwargs = self._arguments
            self._pack(
                [await argument(each) for each in args],
                {name: await argument(each) for name, each in kwargs.items()},
            )
        if isinstance(self._packed, Exception):
            raise self._packed
        assert self._packed is not None
        (sizes, parts), self._packed = self._packed, None
        about = (self._target.method, self._target.stream, as_tuple(self._facts), sizes)
        self._call = await self._caller.open(self._target, about, parts)
        return self._call

    def _stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
        super()._stop()


class DeploymentResponse(Called, Response):
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
        return value_of(call)


class _RemoteTraceback(Exception):
    """The traceback of an exception in the process that raised it."""


def value_of(call: Call) -> Any:
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
