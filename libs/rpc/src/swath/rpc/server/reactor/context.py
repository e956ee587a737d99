"""What a handler may ask of its call, and what it may send."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import grpc

from swath.rpc.metadata import sendable
from swath.rpc.server.handlers import EOF
from swath.rpc.server.reactor.core import NO_FLAGS, cygrpc, metadata_of

if TYPE_CHECKING:
    from swath.rpc.server.reactor.server import Reactor

_GONE = "the call is over: its client has left, or it was answered"

Trailers = Sequence[tuple[str, str | bytes]]


class CallContext(grpc.aio.ServicerContext[Any, Any]):
    """The context of one call, as grpc.aio's servers have it, and its state.

    gRPC's core is asked to do things in batches, each of which it answers with one event.

    Args:
        server: Has the call.
        event: gRPC's word of the call.
        handler: Answers it.
    """

    def __init__(self, server: Reactor, event: Any, handler: grpc.RpcMethodHandler) -> None:
        self._server = server
        self._call = event.call
        self._details = event.call_details
        self._metadata = event.invocation_metadata
        self._handler = handler
        # The message of a call that carries one, which has come before its handler begins.
        self._first: bytes | None = None
        self._read_first = False
        self._code: grpc.StatusCode | int | None = None
        self._text = ""
        self._trailers: Trailers = ()
        self._compression: grpc.Compression | None = None
        self._flags = NO_FLAGS
        self._begun = False
        self._answered = False
        self._left = False
        self._closed = False
        self._aborted: grpc.aio.AbortError | None = None
        self._callbacks: list[Callable[[Any], None]] = []

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return self._call.peer().decode()

    def peer_identities(self) -> Iterable[bytes] | None:
        return cygrpc.peer_identities(self._call)

    def peer_identity_key(self) -> str | None:
        key = cygrpc.peer_identity_key(self._call)
        return None if key is None else key.decode()

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {key.decode(): value for key, value in (cygrpc.auth_context(self._call) or {}).items()}

    def time_remaining(self) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        # A call without a deadline has one at the end of time.
        deadline = self._details.deadline
        return None if deadline > _NEVER else max(deadline - time.time(), 0.0)

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> Any:
        return self._trailers

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._text = details

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailers = sendable(trailing_metadata)

    def set_compression(self, compression: grpc.Compression) -> None:
        if self._begun:
            raise RuntimeError("compression cannot be set any more: initial metadata have been sent")
        self._compression = compression

    def disable_next_message_compression(self) -> None:
        self._flags = cygrpc.WriteFlag.no_compress

    def done(self) -> bool:
        return self._answered or self._closed

    def cancelled(self) -> bool:
        return self._left

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    # What it may send and receive.

    async def read(self) -> Any:
        """Return the next message, in bytes; EOF where there is none any more."""
        if self._read_first:
            self._read_first = False
            first, self._first = self._first, None
            return EOF if first is None else first
        self._check_open()
        if self._left:
            raise asyncio.CancelledError
        waiting = self._server.loop.create_future()
        self._batch((cygrpc.ReceiveMessageOperation(NO_FLAGS),), _resolver(waiting, message_of))
        data = await waiting
        if data is None and self._left:
            raise asyncio.CancelledError  # a client that leaves has not sent all
        return EOF if data is None else data

    async def write(self, message: Any) -> None:
        """Send a message, and wait until there is room for the next one.

        Raises:
            InternalError: The call is over.
        """
        self._check_open()
        write = self._handler.response_serializer
        data = message if write is None else write(message)
        await self._sent((*self._beginning(()), cygrpc.SendMessageOperation(data, self._next_flags())))

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._check_open()
        if self._begun:
            raise grpc.aio.UsageError("initial metadata have been sent already")
        await self._sent(self._beginning(sendable(initial_metadata)))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._check_open()
        if self._left:
            raise grpc.aio.InternalError(_GONE)
        if code is grpc.StatusCode.OK:
            code = grpc.StatusCode.UNKNOWN
        self._code, self._text = code, details
        self._trailers = sendable(trailing_metadata) or self._trailers
        self._answer(None)
        self._aborted = grpc.aio.AbortError("the call was aborted")
        raise self._aborted

    def _answer(self, message: bytes | None) -> None:
        """Send the status, and the one message before it if there is one."""
        code: Any = grpc.StatusCode.OK if self._code is None else self._code
        number = code if isinstance(code, int) else code.value[0]
        sent = () if message is None or number else (cygrpc.SendMessageOperation(message, self._next_flags()),)
        status = cygrpc.SendStatusFromServerOperation(
            self._trailers, number, self._text.encode(errors="replace"), NO_FLAGS
        )
        self._answered = True
        # A server that has been stopped has ended its calls.
        with contextlib.suppress(grpc.aio.InternalError):
            self._batch((*self._beginning(()), *sent, status), _ignore)

    def _beginning(self, metadata: Trailers) -> tuple[Any, ...]:
        """Return the operation that sends initial metadata, where that has not been done."""
        if self._begun:
            return ()
        self._begun = True
        if self._compression is not None:
            metadata = (metadata_of(self._compression), *metadata)
        return (cygrpc.SendInitialMetadataOperation(metadata or None, NO_FLAGS),)

    def _next_flags(self) -> int:
        flags, self._flags = self._flags, NO_FLAGS
        return flags

    async def _sent(self, operations: tuple[Any, ...]) -> None:
        waiting = self._server.loop.create_future()
        self._batch(operations, _resolver(waiting, _success))
        if not await waiting:
            raise grpc.aio.InternalError(_GONE)

    def _batch(self, operations: tuple[Any, ...], done: Callable[[Any], None]) -> None:
        self._server.batch(self._call, operations, done)

    def _check_open(self) -> None:
        if self._aborted is not None:
            raise self._aborted
        if self._answered:
            raise grpc.aio.UsageError(_GONE)


_NEVER = 1e11
"""Second of the clock that no deadline reaches."""


def _resolver(waiting: asyncio.Future[Any], take: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return what resolves a future with what is taken from an event; with the event it would be a cycle."""

    def resolve(event: Any) -> None:
        if not waiting.done():
            waiting.set_result(take(event))

    return resolve


def message_of(event: Any) -> bytes | None:
    """Return the message that an event brings; None where none came."""
    return event.batch_operations[0].message() if event.success else None


def _success(event: Any) -> bool:
    return event.success


def _ignore(event: Any) -> None:
    """Take an event that nobody waits for."""
