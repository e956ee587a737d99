"""Calls of the users' methods, of all four kinds: what comes in goes to the application, what it answers goes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from swath.errors import SwathError
from swath.rpc.server.handlers import MAKERS, ends_after, status_of
from swath.serve.exceptions import RayServeException
from swath.serve.exchange import Applications, Exchange, Method
from swath.serve.front.refusals import end, pushback, refusal, timed_out
from swath.serve.front.requests import REQUEST_ID, read_request
from swath.serve.front.services import Service

if TYPE_CHECKING:  # a server without a port for them needs no Prometheus
    from swath.serve.front.metrics import ApplicationMetrics


class ApplicationCalls(grpc.GenericRpcHandler):
    """The methods of users' services, which may come and go while a server runs. For `Calls`, as `later`.

    Args:
        applications: Who answers.
        timeout_s: Seconds that every call has, its time in the queue and a stream's whole life included.

    Attributes:
        services: What is served.
        metrics: Count calls by application, if there are any.
    """

    def __init__(self, applications: Applications, *, timeout_s: float | None = None) -> None:
        self._applications = applications
        self._timeout_s = timeout_s
        self.metrics: ApplicationMetrics | None = None
        self._handlers: dict[str, tuple[Method, grpc.RpcMethodHandler]] = {}
        self.services: tuple[Service, ...] = ()

    def publish(self, services: Iterable[Service]) -> None:
        """Answer the methods of these services from now on, and no others. Calls that run go on."""
        self.services = tuple(services)
        handlers = {}
        for method in (method for service in self.services for method in service.methods):
            known = self._handlers.get(method.path)
            same = known is not None and known[0] == method
            handlers[method.path] = known if same else (method, self._handler(method))
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        found = self._handlers.get(handler_call_details.method)
        return None if found is None else found[1]

    def _handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Return what answers a method. Messages stay bytes: they are parsed where the user's code is."""
        make = MAKERS[method.request_streaming, method.response_streaming]
        answer: Callable[..., Any] = self._stream(method) if method.response_streaming else self._single(method)
        if self._timeout_s is not None:
            ends_after(self._timeout_s, timed_out(self._timeout_s))(answer)
        return make(answer)

    def _stream(self, method: Method) -> Callable[..., AsyncIterator[bytes]]:
        def answer(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
            return self._answers(method, requests, context)

        return answer

    def _single(self, method: Method) -> Callable[..., Any]:
        async def answer(requests: Any, context: grpc.aio.ServicerContext) -> bytes:
            found = None
            async with aclosing(self._answers(method, requests, context)) as answers:
                async for each in answers:
                    found = each if found is None else found
            if found is None:
                raise SwathError(f"{method.path}: the handler ended without an answer")
            return found

        return answer

    async def _answers(self, method: Method, requests: Any, context: grpc.aio.ServicerContext) -> AsyncGenerator[bytes]:
        """Iterate over the answers of a call.

        Args:
            method: Which.
            requests: The message, or an iterator over the messages of a stream.
            context: The call's.
        """
        started, given_s = time.monotonic(), context.time_remaining()
        counts, failure, waiting = None, None, True
        try:
            facts = read_request(context, self._applications.names(), self._timeout_s)
            if self.metrics is not None:
                counts = self.metrics.of(facts.application, method.path)
                counts.started += 1
            body = None if method.request_streaming else requests
            try:
                exchange = await self._applications.open(facts.application, method, facts, body)
            except RayServeException as error:
                told, trailers = refusal(error, facts.application, facts.request_id, self._timeout_s)
                context.set_trailing_metadata(trailers)
                raise told from error
            except SwathError as error:
                context.set_trailing_metadata(((REQUEST_ID, facts.request_id), *pushback(error.retry_after)))
                raise
            async with aclosing(self._exchanged(exchange, method, requests, context)) as answers:
                async for each in answers:
                    if counts is not None and waiting:
                        counts.first.add(time.monotonic() - started)
                    waiting = False
                    yield each
            await end(context, facts.request_id, exchange.outcome)
        except BaseException as error:
            failure = error
            raise
        finally:
            if counts is not None:
                counts.end(self._code(context, failure, started, given_s), time.monotonic() - started)
            failure = None  # It holds this frame.

    async def _exchanged(
        self, exchange: Exchange, method: Method, requests: Any, context: grpc.aio.ServicerContext
    ) -> AsyncGenerator[bytes]:
        """Iterate over what an exchange answers; when that is left early, the exchange is cancelled."""
        feeding = asyncio.create_task(_feed(requests, exchange)) if method.request_streaming else None
        ended = first = False
        try:
            async for each in exchange:
                if not first:
                    first = True
                    _compress(context, exchange)
                yield each
            ended = True
        finally:
            if not ended:
                exchange.cancel("the client has gone, or its time is over")
            if feeding is not None:
                feeding.cancel()
                await asyncio.wait([feeding])
                if ended and not feeding.cancelled() and (error := feeding.exception()) is not None:
                    raise error

    def _code(
        self, context: grpc.aio.ServicerContext, error: BaseException | None, started: float, given_s: float | None
    ) -> grpc.StatusCode:
        """Return the status that a call ends with."""
        if isinstance(error, SwathError):
            return grpc.StatusCode[error.code]
        cut = isinstance(error, asyncio.CancelledError | GeneratorExit)
        if cut and self._timeout_s is not None and time.monotonic() - started >= self._timeout_s:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return status_of(context, error, given_s)


async def _feed(requests: AsyncIterator[bytes], exchange: Exchange) -> None:
    """Send a client's stream to an exchange: one message at a time, each when the handler has room for it."""
    try:
        async for each in requests:
            await exchange.send(each)
    except BaseException:
        exchange.cancel("the client's stream was cut")
        raise
    await exchange.finish()


def _compress(context: grpc.aio.ServicerContext, exchange: Exchange) -> None:
    """Compress the answers if the handler has asked for it before the first one."""
    if (wish := exchange.compression) is not None:
        context.set_compression(grpc.Compression(wish))
