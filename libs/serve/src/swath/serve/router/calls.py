"""Calls as they run in a replica: a client's, as the front sees it, and those that deployments make of one another."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from swath.serve.exceptions import RayServeException, ReplicaDied
from swath.serve.exchange import Method, Outcome, RequestFacts
from swath.serve.handle import as_tuple
from swath.serve.router.router import Router, Slot
from swath.serve.transport.call import Call, Ended
from swath.serve.transport.frames import Buffer

_CANCELLED = 1
_UNAVAILABLE = 14

GONE = "The process of the replica ended before the call had finished."

_methods: dict[Method, tuple[Any, ...]] = {}


def _method(method: Method) -> tuple[Any, ...]:
    found = _methods.get(method)
    if found is None:
        if len(_methods) > 10_000:
            _methods.clear()
        found = _methods[method] = (
            method.name,
            method.path,
            method.request_streaming,
            method.response_streaming,
            method.request_type,
            method.response_type,
        )
    return found


class ClientCall:
    """A call of a gRPC client, running in a replica. See `swath.serve.exchange.Exchange`."""

    __slots__ = ("_call", "_facts", "_last", "_outcome", "compression")

    def __init__(self, call: Call, facts: RequestFacts) -> None:
        self._call = call
        self._facts = facts
        self._outcome: Outcome | None = None
        self._last: bytes | None = None
        self.compression: int | None = None

    async def send(self, body: bytes) -> None:
        """Send a message of the client's stream; waits while the handler is behind."""
        if not self._call.over:
            try:
                await self._call.send((body,))
            except Ended:
                return

    async def finish(self) -> None:
        """Say that the client's stream has ended."""
        self._call.finish()

    def cancel(self, reason: str = "") -> None:
        """Stop the handler and free its place."""
        if self._outcome is None and self._call.end is None:
            self._outcome = Outcome(_CANCELLED, reason or f"Request {self._facts.request_id} was cancelled.")
            self._call.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        message = await self._call.receive()
        if message is not None:
            self.compression, body = message
            return bytes(body)
        if self._outcome is None:
            self._settle()
            if self._last is not None:
                last, self._last = self._last, None
                return last
        raise StopAsyncIteration

    def _settle(self) -> None:
        if self._call.end is None:
            self._outcome = Outcome(_UNAVAILABLE, GONE)
            return
        (code, details, trailing, compression, retry, has_body), payload = self._call.end
        self._outcome = Outcome(code, details, trailing, compression, retry)
        self.compression = compression
        if has_body and code == 0:
            self._last = bytes(payload)

    @property
    def outcome(self) -> Outcome:
        """How it ended; valid after the iteration."""
        return self._outcome or Outcome(_UNAVAILABLE, GONE)


async def open_client_call(router: Router, method: Method, facts: RequestFacts, body: bytes | None) -> ClientCall:
    """Wait for a replica and start a client's call there."""
    slot = await router.acquire(facts)
    about = ("grpc", _method(method), as_tuple(facts))
    return ClientCall(_start(slot, about, () if body is None else (body,)), facts)


def _start(slot: Slot, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
    call = slot.place.channel.open(about, payload)
    if call.over:
        slot.release()
    else:
        call.on_end = slot.release
    return call


async def open_python_call(router: Router, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
    """Wait for a replica and start a deployment's call there.

    Args:
        router: Of the deployment that is called.
        about: Method, whether it streams, facts, sizes of the payload's parts.
        payload: The arguments, packed.
    """
    slot = await router.acquire(RequestFacts(*about[2]))
    return _start(slot, ("python", *about), payload)


class Relays:
    """Calls from replica to replica, through this process, which does not look into what they carry.

    Args:
        resolve: Gives the router of a deployment of an application, for somebody's call.
    """

    def __init__(self, resolve: Callable[[Any, str, str | None], Router]) -> None:
        self._resolve = resolve
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Call, source: Any) -> None:
        """Carry a call that a replica of `source` has opened to where it is answered."""
        task = asyncio.get_running_loop().create_task(self._relay(call, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def cancel() -> None:
            task.cancel()

        call.on_cancel = cancel

    async def _relay(self, incoming: Call, source: Any) -> None:
        kind, application, deployment, *about = incoming.about
        assert kind == "python"
        outgoing: Call | None = None
        try:
            router = self._resolve(source, application, deployment)
            payload, incoming.payload = incoming.payload, b""
            outgoing = await open_python_call(router, tuple(about), (payload,))
            while (message := await outgoing.receive()) is not None:
                await incoming.send((message[1],), message[0])
        except RayServeException as error:
            dumped = pickle.dumps(error)
            incoming.finish_with((False, (len(dumped),), error.message, ""), (dumped,))
        except (asyncio.CancelledError, Ended):
            if outgoing is not None:
                outgoing.cancel()
        else:
            if outgoing.end is None:
                dumped = pickle.dumps(ReplicaDied(GONE))
                incoming.finish_with((False, (len(dumped),), GONE, ""), (dumped,))
            else:
                incoming.finish_with(outgoing.end[0], (outgoing.end[1],))
