"""Applications in the front's own process: handlers as tasks, a bounded queue each way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import DecodeError

from swath.serve.exceptions import BackPressureError, MethodNotFound, RequestTimedOut
from swath.serve.exchange import ApplicationStatus, ApplicationView, Load, Method, Outcome, RequestFacts
from swath.serve.grpc_util import RayServegRPCContext, gRPCAborted, gRPCInputStream

_END = object()


class LocalApplications:
    """Applications whose ingress is an object of this process.

    Attributes:
        pool: Descriptors of the messages.
        busy: Names of applications whose queue is full.
        sick: Names of applications that answer no calls.
        goes: Whether the host drains.
        exchanges: All that were opened.
    """

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.objects: dict[str, Any] = {}
        self.busy: set[str] = set()
        self.sick: set[str] = set()
        self.stuck: set[str] = set()
        self.goes = False
        self.ever = False
        self.exchanges: list[LocalExchange] = []
        self._watchers: list[Callable[[], None]] = []

    def deploy(self, name: str, instance: Any) -> None:
        self.objects[name], self.ever = instance, True
        self.changed()

    def delete(self, name: str) -> None:
        del self.objects[name]
        self.changed()

    def changed(self) -> None:
        for each in self._watchers:
            each()

    def names(self) -> list[str]:
        return list(self.objects)

    def state(self, name: str) -> ApplicationView | None:
        if name not in self.objects:
            return None
        return ApplicationView(ApplicationStatus.RUNNING, "", healthy=name not in self.sick)

    def populated(self) -> bool:
        return self.ever

    def draining(self) -> bool:
        return self.goes

    def loads(self) -> list[Load]:
        return [Load(name, "Ingress", 1, 2, 3, 4) for name in self.objects]

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    async def open(self, application: str, method: Method, facts: RequestFacts, body: bytes | None) -> LocalExchange:
        if application in self.busy:
            raise BackPressureError(
                "Request dropped due to backpressure (num_queued_requests=1, max_queued_requests=1).", 0.25
            )
        if application in self.stuck:
            await asyncio.sleep(0.2)
            raise RequestTimedOut("late")
        handler = getattr(self.objects[application], method.name, None)
        if handler is None:
            raise MethodNotFound(f"there is no method {method.name!r}")
        kind = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(method.request_type))
        exchange = LocalExchange(handler, method, facts, body, kind)
        self.exchanges.append(exchange)
        return exchange


class LocalExchange:
    """One call. See `swath.serve.exchange.Exchange`."""

    def __init__(self, handler: Any, method: Method, facts: RequestFacts, body: bytes | None, kind: Any) -> None:
        self.facts = facts
        self.reason: str | None = None
        self.made = 0
        self._in: asyncio.Queue[Any] = asyncio.Queue(2)
        self._out: asyncio.Queue[Any] = asyncio.Queue(2)
        self._gone = asyncio.Event()
        self._context = RayServegRPCContext(facts)
        self._failure: Outcome | None = None
        self._task = asyncio.create_task(self._run(handler, method, body, kind))

    async def _run(self, handler: Any, method: Method, body: bytes | None, kind: Any) -> None:
        try:
            if method.request_streaming:
                request: Any = gRPCInputStream(self._requests(kind), cancel_event=self._gone)
            else:
                request = kind.FromString(body)
            takes_context = "grpc_context" in inspect.signature(handler).parameters
            result = handler(request, **({"grpc_context": self._context} if takes_context else {}))
            if inspect.isasyncgen(result):
                async for each in result:
                    await self._give(each)
            else:
                await self._give(await result)
        except DecodeError as error:
            self._failure = Outcome(3, f"the request is not the message that this method takes: {error}")
        except gRPCAborted:
            pass
        except asyncio.CancelledError:
            self._failure = Outcome(1, "cancelled")
        except Exception as error:
            before = self._context.outcome()
            self._failure = Outcome(before.code or 13, f"{type(error).__name__}: {error}", before.trailing_metadata)
        finally:
            self._context.close()
        if not self._gone.is_set():
            await self._out.put(_END)

    async def _give(self, answer: Any) -> None:
        self.made += 1
        await self._out.put(answer.SerializeToString())

    async def _requests(self, kind: Any) -> AsyncIterator[Any]:
        while (each := await self._in.get()) is not _END:
            yield kind.FromString(each)

    async def send(self, body: bytes) -> None:
        await self._in.put(body)

    async def finish(self) -> None:
        await self._in.put(_END)

    def cancel(self, reason: str = "") -> None:
        if self.reason is None:
            self.reason = reason
            self._gone.set()
            self._task.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (each := await self._out.get()) is not _END:
            yield each

    @property
    def compression(self) -> int | None:
        return self._context.compression()

    @property
    def outcome(self) -> Outcome:
        return self._failure or self._context.outcome()
