"""Runs calls that arrive at a replica: those of gRPC clients, and those of other deployments."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

from swath.serve.context import RunningRequest, running
from swath.serve.exceptions import RayServeException
from swath.serve.exchange import Method, Outcome, RequestFacts
from swath.serve.grpc_util import RayServegRPCContext, gRPCAborted, gRPCInputStream
from swath.serve.replica import execution
from swath.serve.replica.messages import InvalidRequest, Messages
from swath.serve.replica.outcome import as_tuple, failed, said
from swath.serve.replica.servable import Handler, Kind, Servable
from swath.serve.replica.threads import Threads
from swath.serve.transport.call import Call, Ended
from swath.serve.transport.frames import Buffer
from swath.serve.transport.values import pack, unpack

_LOG = logging.getLogger("swath.serve")

_INVALID_ARGUMENT = 3
_CANCELLED = 1


class Calls:
    """The calls that a replica runs.

    Args:
        servable: The user's object.
        messages: The users' messages.
        threads: Where plain functions run.
        send_tracebacks: Whether clients get whole tracebacks.
    """

    def __init__(self, servable: Servable, messages: Messages, threads: Threads, send_tracebacks: bool) -> None:
        self._servable = servable
        self._messages = messages
        self._threads = threads
        self._send_tracebacks = send_tracebacks
        self._methods: dict[tuple[Any, ...], Method] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Call) -> asyncio.Task[None]:
        """Run a call, in a task that ends with it; whoever opened it may take it back, whatever its handler is."""
        kind, *about = call.about
        if kind == "grpc":
            method, facts = about
            request = RunningRequest(RequestFacts(*facts))
            known = self._methods.get(method)
            if known is None:
                known = self._methods[method] = Method(*method)
            work = self._grpc(call, known, request)
        else:
            name, streams, facts, sizes = about
            request = RunningRequest(RequestFacts(*facts))
            work = self._python(call, name, streams, sizes, request)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def cancel() -> None:
            request.cancel()
            task.cancel()

        call.on_cancel = cancel
        return task

    async def _grpc(self, call: Call, method: Method, request: RunningRequest) -> None:
        running.set(request)
        context = RayServegRPCContext(request.facts)
        body: list[Buffer] = []
        outcome: Outcome | None = None
        try:
            handler = self._servable.handler(method.name, from_client=True)
            kwargs = {"grpc_context": context} if handler.takes_context else {}
            argument = self._argument(call, method, handler, context)
            if method.response_streaming:
                serialize = self._messages.serialize

                def encode(item: Any) -> tuple[list[Buffer], Any]:
                    return [serialize(method, item)], context.compression()

                await execution.stream(handler, self._threads, (argument,), kwargs, call, encode)
            else:
                answer = await execution.result(handler, self._threads, (argument,), kwargs)
                body = [self._messages.serialize(method, answer)]
        except InvalidRequest as error:
            outcome = Outcome(_INVALID_ARGUMENT, str(error))
        except gRPCAborted:
            outcome = context.outcome()
        except (asyncio.CancelledError, Ended):
            outcome = Outcome(_CANCELLED, f"Request {request.facts.request_id} was cancelled.")
        except BaseException as error:  # whatever a handler raises ends its call, and nothing else
            self._log(error, method.path, request)
            outcome = failed(error, context.outcome(), self._send_tracebacks)
        finally:
            context.close()
            request.end()
        if outcome is None:
            outcome = context.outcome()
        call.finish_with((*as_tuple(outcome), bool(body)), body)

    def _argument(self, call: Call, method: Method, handler: Handler, context: RayServegRPCContext) -> Any:
        if not method.request_streaming:
            return self._messages.parse(method, call.payload)
        if handler.kind in (Kind.PLAIN, Kind.PLAIN_GENERATOR):
            raise TypeError(
                f"Method {method.name!r} takes a stream, so it must be an `async def`: it gets a gRPCInputStream and "
                "reads it with `async for`"
            )
        gone = asyncio.Event()
        cancel = call.on_cancel

        def cancelled() -> None:
            gone.set()
            context.close()
            if cancel is not None:
                cancel()

        call.on_cancel = cancelled
        return gRPCInputStream(self._requests(call, method), cancel_event=gone)

    async def _requests(self, call: Call, method: Method) -> AsyncIterator[Any]:
        while (message := await call.receive()) is not None:
            yield self._messages.parse(method, message[1])

    async def _python(self, call: Call, name: str, streams: bool, sizes: Any, request: RunningRequest) -> None:
        running.set(request)
        packed: tuple[tuple[int, ...], list[Buffer]] = ((), [])
        try:
            handler = self._servable.handler(name, from_client=False)
            args, kwargs = unpack(sizes, call.payload)
            if streams:

                def encode(item: Any) -> tuple[list[Buffer], Any]:
                    item_sizes, parts = pack(item)
                    return parts, item_sizes

                await execution.stream(handler, self._threads, args, kwargs, call, encode)
            else:
                packed = pack(await execution.result(handler, self._threads, args, kwargs))
        except (asyncio.CancelledError, Ended):
            call.finish_with((False, (), "cancelled", ""))
        except BaseException as error:  # it goes to the caller
            if not isinstance(error, RayServeException):
                self._log(error, name, request)
            call.finish_with(*_failure(error))
        else:
            call.finish_with((True, packed[0], "", ""), packed[1])
        finally:
            request.end()

    def _log(self, error: BaseException, method: str, request: RunningRequest) -> None:
        _LOG.error(
            "%s failed: %s",
            method,
            type(error).__name__,
            exc_info=error,
            extra={"request_id": request.facts.request_id},
        )


def _failure(error: BaseException) -> tuple[tuple[Any, ...], list[Buffer]]:
    if not isinstance(error, Exception):  # SystemExit and the like end the call, not the caller
        error = RayServeException(said(error))
    trace = "".join(traceback.format_exception(error))
    try:
        sizes, parts = pack(error)
        unpack(sizes, b"".join(parts))
    except Exception:
        sizes, parts = pack(RayServeException(said(error)))
    return (False, sizes, said(error), trace), parts
