"""One call that a reactor answers: its handler runs, and what becomes of it goes to the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from swath.rpc.server.handlers import EOF, answers_of, behaviour
from swath.rpc.server.reactor.context import CallContext, message_of
from swath.rpc.server.reactor.core import NO_FLAGS, cygrpc

if TYPE_CHECKING:
    from swath.rpc.server.reactor.server import Reactor

_log = structlog.get_logger("swath.calls")


class ReactorCall(CallContext):
    """A call whose handler runs in the event loop, as far as that needs no waiting at once.

    Args:
        server: Has the call.
        event: gRPC's word of the call.
        handler: Answers it.
    """

    def __init__(self, server: Reactor, event: Any, handler: grpc.RpcMethodHandler) -> None:
        super().__init__(server, event, handler)
        self._task: asyncio.Task[None] | None = None
        self._batch((cygrpc.ReceiveCloseOnServerOperation(NO_FLAGS),), self._on_close)

    def on_message(self, event: Any) -> None:
        """Begin, now that the message of a call that carries one has come; or does not come any more."""
        self._first = message_of(event)
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
        asked: Any = _Requests(self) if handler.request_streaming else await self.read()
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
