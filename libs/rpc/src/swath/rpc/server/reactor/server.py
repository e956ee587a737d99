"""A gRPC server whose calls are answered where they arrive, in turn with the event loop.

grpc.aio moves each of the four or five events of a call from a thread of gRPC's over a socket to the event loop, and
makes a task wait for it. Here the thread that waits for events takes the loop's turn and answers: a small call is over
before any other thread has been woken. See docs/adr/0049.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from swath.rpc.server.handlers import begins_with_message
from swath.rpc.server.reactor.call import ReactorCall
from swath.rpc.server.reactor.core import core_of, cygrpc
from swath.rpc.server.reactor.events import Deal, Events
from swath.rpc.server.reactor.turns import TurnLoop

_ACCEPTED_AT_ONCE = 64
"""Calls that gRPC may hand over before it has been asked again."""


class Reactor(grpc.aio.Server):
    """A server like those of `grpc.aio.server`, for a process whose event loop is a `TurnLoop`.

    Args:
        options: Channel arguments.
    """

    def __init__(self, options: Sequence[tuple[str, Any]] = ()) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)
        self.loop = loop
        self.tasks: set[asyncio.Task[None]] = set()
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._events: Events | None = None
        self._core = cygrpc.Server(tuple(options), False)
        self._stopping = False
        self._left = False
        self._over = asyncio.Event()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        """Do nothing: the generated functions that call this add generic handlers as well."""

    def add_insecure_port(self, address: str) -> int:
        return self._listening(address, self._core.add_http2_port(address.encode()))

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        return self._listening(address, self._core.add_http2_port(address.encode(), core_of(server_credentials)))

    async def start(self) -> None:
        self._events = Events.enter(self.loop)
        self._core.register_completion_queue(self._events.queue)
        self._core.start()
        for _ in range(_ACCEPTED_AT_ONCE):
            self._accept()

    async def stop(self, grace: float | None) -> None:
        if self._events is None:
            return
        if not self._stopping:
            self._stopping = True
            queue = self._events.queue
            self._events.ask(lambda deal: self._core.shutdown(queue, deal), self._on_shutdown)
        if grace:
            await self.wait_for_termination(grace)
        if not self._over.is_set():
            self._core.cancel_all_calls()
            await self._over.wait()
        if not self._left:
            self._left = True
            await self._events.leave()
            self._core.destroy()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (gRPC's name)
        try:
            async with asyncio.timeout(timeout):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    def batch(self, call: Any, operations: tuple[Any, ...], deal: Deal) -> None:
        """Have gRPC do something with a call, and call `deal` with its event.

        Raises:
            InternalError: The server has been stopped.
            ValueError: gRPC refuses: metadata cannot be sent, or the operations are not in their order.
        """
        assert self._events is not None

        def ask(tag: Deal) -> None:
            if number := call.start_server_batch(operations, tag):
                raise ValueError(f"gRPC refuses a batch of operations: call error {number}")

        self._events.ask(ask, deal)

    def _listening(self, address: str, port: int) -> int:
        if not port:
            raise RuntimeError(f"cannot listen on {address}")
        return port

    def _accept(self) -> None:
        assert self._events is not None
        queue = self._events.queue
        self._events.ask(lambda deal: self._core.request_call(queue, queue, deal), self._on_call)

    def _on_call(self, event: Any) -> None:
        if not event.success:
            return  # the server goes away
        if not self._stopping:
            self._accept()
        handler = self._handler(event)
        call = ReactorCall(self, event, handler)
        if begins_with_message(handler):
            self.batch(event.call, (cygrpc.ReceiveMessageOperation(0),), call.on_message)
        else:
            call.begin()

    def _handler(self, event: Any) -> grpc.RpcMethodHandler:
        details = _HandlerCallDetails(event)
        for each in self._handlers:
            if (handler := each.service(details)) is not None:
                return handler
        return _UNKNOWN

    def _on_shutdown(self, event: Any) -> None:
        self._over.set()


class _HandlerCallDetails(grpc.HandlerCallDetails):
    def __init__(self, event: Any) -> None:
        self.method = event.call_details.method.decode()
        self.invocation_metadata = event.invocation_metadata


async def _refuse(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


_UNKNOWN = grpc.stream_stream_rpc_method_handler(_refuse)
