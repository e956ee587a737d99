"""One call that a reactor answers: what a handler may ask of it, and what goes to its client."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog

from swath.rpc.server.handlers import EOF, answers_of, behaviour
from swath.rpc.server.reactor.core import cygrpc, metadata_of

if TYPE_CHECKING:
    from swath.rpc.server.reactor.server import Reactor

_log = structlog.get_logger("swath.calls")

_NO_FLAGS = 0
_KEY = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")
_GONE = "the call is over: its client has left, or it was answered"

Trailers = Sequence[tuple[str, str | bytes]]


class ReactorCall(grpc.aio.ServicerContext[Any, Any]):
    """What a handler is given as its context, as grpc.aio's servers have it.

    Belongs to the event loop. gRPC's core is asked to do things in batches, each of which it answers with one event.

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
        self._task: asyncio.Task[None] | None = None
        # The message of a call that carries one, which has come before its handler begins.
        self._first: bytes | None = None
        self._read_first = False
        self._code: grpc.StatusCode | int | None = None
        self._text = ""
        self._trailers: Trailers = ()
        self._compression: grpc.Compression | None = None
        self._flags = _NO_FLAGS
        self._begun = False
        self._answered = False
        self._left = False
        self._closed = False
        self._aborted: grpc.aio.AbortError | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._on_close)

    # What a handler may ask.

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
        self._trailers = _legal(trailing_metadata)

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
        self._batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), _resolver(waiting, _message))
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
        await self._sent(self._beginning(_legal(initial_metadata)))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._check_open()
        if self._left:
            raise grpc.aio.InternalError(_GONE)
        if code is grpc.StatusCode.OK:
            code = grpc.StatusCode.UNKNOWN
        self._code, self._text = code, details
        self._trailers = _legal(trailing_metadata) or self._trailers
        self._answer(None)
        self._aborted = grpc.aio.AbortError("the call was aborted")
        raise self._aborted

    def requests(self) -> AsyncIterator[Any]:
        """Iterate over the messages of a stream."""
        return _Requests(self)

    # What the reactor does with it.

    def on_message(self, event: Any) -> None:
        """Begin, now that the message of a call that carries one has come; or does not come any more."""
        self._first = _message(event)
        self._read_first = True
        self.begin()

    def begin(self) -> None:
        """Answer the call, as far as that needs no waiting."""
        if self._left and self._first is None and self._read_first:
            return  # nobody has asked anything
        task = self._server.loop.start(self._run())
        if not task.done():
            self._task = task
            self._server.tasks.add(task)
            task.add_done_callback(self._server.tasks.discard)

    async def _run(self) -> None:
        try:
            answer = await self._handled()
        except asyncio.CancelledError:
            if not self._left:
                self._fail(grpc.StatusCode.CANCELLED, "the server has given the call up")
        except grpc.aio.AbortError:
            if self._aborted is None:
                self._fail(grpc.StatusCode.UNKNOWN, "")
        except (grpc.aio.InternalError, grpc.aio.UsageError) as error:
            if not self.done():
                self._fail(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            # Errors of handlers are statuses by now; this is one of what is around them.
            _log.exception("a handler has raised", method=self._details.method.decode())
            self._fail(grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}")
        else:
            if not self._answered and not self._left:
                self._answer(answer)
        finally:
            self._first = self._task = None
            if self._aborted is not None:
                # Its frames hold this call: a cycle that would stay until garbage is collected.
                self._aborted.__traceback__ = None

    async def _handled(self) -> bytes | None:
        """Return the one answer; None for a handler that writes its answers itself."""
        handler = self._handler
        asked: Any = self.requests() if handler.request_streaming else await self.read()
        if handler.request_deserializer is not None and not handler.request_streaming:
            asked = handler.request_deserializer(asked)
        answering = behaviour(handler)(asked, self)
        if not handler.response_streaming:
            answer = await answering
            if handler.response_serializer is not None:
                answer = handler.response_serializer(answer)
            if not isinstance(answer, bytes):
                raise TypeError(f"the answer cannot be sent: it is of {type(answer)}, expected bytes")
            return answer
        async with answers_of(answering) as answers:
            async for each in answers:
                await self.write(each)
        return None

    def _on_close(self, event: Any) -> None:
        self._closed = True
        self._left = bool(event.batch_operations[0].cancelled()) and not self._answered
        if self._left and self._task is not None:
            # In the loop's own thread: what it waits for may have to stay there.
            self._server.loop.call_home(self._task.cancel)
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def _fail(self, code: grpc.StatusCode, text: str) -> None:
        if self._answered or self._left:
            return
        if self._code in (None, grpc.StatusCode.OK):
            self._code, self._text = code, text
        self._answer(None)

    def _answer(self, message: bytes | None) -> None:
        """Send the status, and the one message before it if there is one."""
        code: Any = grpc.StatusCode.OK if self._code is None else self._code
        number = code if isinstance(code, int) else code.value[0]
        sent = () if message is None or number else (cygrpc.SendMessageOperation(message, self._next_flags()),)
        status = cygrpc.SendStatusFromServerOperation(
            self._trailers, number, self._text.encode(errors="replace"), _NO_FLAGS
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
        return (cygrpc.SendInitialMetadataOperation(metadata or None, _NO_FLAGS),)

    def _next_flags(self) -> int:
        flags, self._flags = self._flags, _NO_FLAGS
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


def _legal(metadata: Any) -> Trailers:
    """Return metadata that HTTP/2 can carry: with others gRPC ends a call without a word, or not at all.

    Raises:
        ValueError: They are not so.
    """
    for key, value in metadata or ():
        binary = key.endswith("-bin")
        if not _KEY.fullmatch(key) or binary != isinstance(value, bytes) or not (binary or _TEXT.fullmatch(value)):
            raise ValueError(
                f"metadata {key!r} = {value!r}: keys are of a-z, 0-9, '-', '_' and '.', values printable ASCII, or "
                "bytes where the key ends in -bin"
            )
    return tuple(metadata or ())


class _Requests:
    def __init__(self, call: ReactorCall) -> None:
        self._call = call

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> Any:
        data = await self._call.read()
        if data is EOF:
            raise StopAsyncIteration
        return data


def _resolver(waiting: asyncio.Future[Any], take: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return what resolves a future with what is taken from an event; with the event it would be a cycle."""

    def resolve(event: Any) -> None:
        if not waiting.done():
            waiting.set_result(take(event))

    return resolve


def _message(event: Any) -> bytes | None:
    return event.batch_operations[0].message() if event.success else None


def _success(event: Any) -> bool:
    return event.success


def _ignore(event: Any) -> None:
    """Take an event that nobody waits for."""
