"""A process that serves: from its services put together to its last answer.

The same for one service of a suite and for all of them in one process. The order of the end is what clients rely on:
health NOT_SERVING, the lag, drains (runs write checkpoints, streams end), no new calls, calls in flight end within the
grace; then each service closes, the last built first (the device is freed); the last spans are sent at the very end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from swath.rpc.addresses import Address
from swath.rpc.line_writer import TELL_S, LineWriter
from swath.rpc.server.health import HealthBoard
from swath.runtime.assembly import Assembly
from swath.runtime.health_watch import HealthWatch
from swath.runtime.logs import dropped_lines
from swath.runtime.replica import channel_to
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.runtime.tracing import configure_tracing

if TYPE_CHECKING:  # a process without a port for them needs no Prometheus
    from swath.rpc.server.metrics import Metrics

_log = structlog.get_logger("swath.process")


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a process names itself, and what is around it.

    Attributes:
        title: Begins the lines that it prints.
        service: Names it in spans.
        replica: Name among the processes of its service.
        in_suite: Whether it is one of many: clients come by the gateway, and other services ask its private ones.
        others: Services in other processes whose health it reports, and the addresses of each.
        details: Ends the line that names the address.
    """

    title: str
    service: str
    replica: str = ""
    in_suite: bool = False
    others: Mapping[str, Iterable[Address]] = field(default_factory=dict)
    details: str = ""


async def serve(
    settings: ServerSettings, program: Program, build: Callable[[AsyncExitStack], Sequence[Assembly]]
) -> None:
    """Build services and serve them until SIGTERM, SIGINT or SIGHUP, then drain.

    Args:
        settings: Where to listen, who may call, how to go away.
        program: What the process is called.
        build: Puts the services together. They start, warm up and drain in this order and close in the reverse one.

    Raises:
        SwathError: The process could not start; what was opened is closed.
    """
    stopping = asyncio.Event()
    said = LineWriter(sys.stdout)
    logging.captureWarnings(True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # `nohup` has a process ignore that its terminal is closed.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        tracing = await stack.enter_async_context(AsyncExitStack())
        assemblies = build(stack)
        # After the services are built: sending spans takes a channel, and no gRPC object may be there before what
        # workers are forked from. Closed after them: spans of their end are sent as well.
        flush = configure_tracing(program.service, settings.otlp_address, program.replica)
        tracing.push_async_callback(asyncio.to_thread, flush)
        health = HealthBoard([each.service for each in assemblies], program.others)
        server = _server(settings, program, assemblies, health)
        for each in assemblies:
            if each.health is not None:
                each.health(partial(health.set_models, each.service))
            if each.start is not None:
                await each.start()
        if program.others:
            watch = HealthWatch(health, program.others, partial(channel_to, settings))
            await watch.start()
            stack.push_async_callback(watch.stop)
        await server.start()
        for each in assemblies:
            if each.listening is not None:
                each.listening(server.address)
        await _say(said, f"{program.title}: listening on {server.address}{program.details}")
        warming = asyncio.create_task(_warm_up(assemblies, health))
        await stopping.wait()
        await _say(said, f"{program.title}: draining")
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming
        await server.drain(partial(_drain, assemblies))


async def _say(output: LineWriter, line: str) -> None:
    """Print a line, and go on soon also where nobody reads it."""
    output.put(f"{line}\n")
    await asyncio.to_thread(output.flush, TELL_S)


def _server(settings: ServerSettings, program: Program, assemblies: Sequence[Assembly], health: HealthBoard) -> Server:
    handlers = [
        handler for each in assemblies for handler in (*each.handlers, *(each.private if program.in_suite else ()))
    ]
    names = dict.fromkeys(name for each in assemblies for name in each.names)
    metrics = _metrics(assemblies) if settings.metrics_port else None
    others = next((each.others for each in assemblies if each.others is not None), None)
    return Server(settings, handlers, names, health, behind_gateway=program.in_suite, metrics=metrics, others=others)


def _metrics(assemblies: Iterable[Assembly]) -> Metrics:
    """Return one registry for all services of the process."""
    from swath.rpc.server.metrics import Metrics
    from swath.sessions import row_memory

    metrics = Metrics()
    metrics.counter("swath_log_lines_dropped", "Log lines that were dropped: nobody read them in time.", dropped_lines)
    metrics.counter(
        "swath_session_reads",
        "Reads of sessions: answered from memory, or asked of the authority.",
        row_memory.reads,
        label="from",
    )
    for each in assemblies:
        if each.metrics is not None:
            each.metrics(metrics)
    return metrics


async def _warm_up(assemblies: Iterable[Assembly], health: HealthBoard) -> None:
    """Make one service after the other ready: what one imports, such as torch, the next one finds."""
    for each in assemblies:
        try:
            if each.warm_up is not None:
                await each.warm_up()
        except Exception:
            _log.exception("the service did not come up; its health stays NOT_SERVING", service=each.service)
        else:
            await health.set_ready(each.service)
    # What has been made by now stays. With torch that is half a million objects, and looking through them for garbage
    # again and again took a third of the time of small calls.
    gc.freeze()


async def _drain(assemblies: Iterable[Assembly]) -> None:
    drains: list[Callable[[], Awaitable[None]]] = [each.drain for each in assemblies if each.drain is not None]
    for drain in drains:
        await drain()
