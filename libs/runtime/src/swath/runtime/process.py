"""One service in a process of its own: from its settings to its last answer."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TypeVar

import grpc
import structlog
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from swath.errors import SwathError, Unavailable
from swath.retry import Retry
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.metrics import Metrics
from swath.runtime.logs import configure_logs
from swath.runtime.replica import ReplicaSettings, StoreSettings
from swath.runtime.server import Server
from swath.runtime.settings import problems
from swath.runtime.tracing import configure_tracing
from swath.storage.opening import open_database
from swath.storage.sql.migrations import Schema

S = TypeVar("S", bound=ReplicaSettings)
B = TypeVar("B", bound=BaseSettings)

_log = structlog.get_logger("swath.process")


@dataclass(frozen=True)
class Assembly:
    """A service put together.

    Attributes:
        handlers: Its slices and private services.
        names: Full names of the gRPC services that reflection lists.
        health: What its health answers from.
        warm_up: Makes it ready; it listens meanwhile.
        send_away: Ends streams that would outlast a drain.
        metrics: What it tells Prometheus, its calls aside.
    """

    handlers: Sequence[grpc.GenericRpcHandler]
    names: Sequence[str]
    health: HealthBoard
    warm_up: Callable[[], Awaitable[None]] | None = None
    send_away: Callable[[], Awaitable[None]] | None = None
    metrics: Callable[[Metrics], None] | None = None


def settings_or_exit(kind: type[B], program: str) -> B:
    """Return settings from the environment; leave with a line for each that is wrong."""
    try:
        return kind()
    except (ValidationError, SettingsError) as error:
        for line in problems(error):
            print(f"{program}: {line}", file=sys.stderr)
        raise SystemExit(2) from None


def main(
    part: str,
    kind: type[S],
    assemble: Callable[[S, AsyncExitStack], Awaitable[Assembly]],
    *,
    schema: Schema | None = None,
) -> int:
    """Be `python -m swath_<part>`; return the process's exit status.

    Args:
        part: Name of the service.
        kind: Its settings.
        assemble: Puts it together; what it opens it hands to the stack.
        schema: Its tables, if it owns some.
    """
    program = f"swath_{part}"
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=f"The {part} service of Swath.")
    commands = {"serve": "serve (the default)"}
    if schema is not None:
        commands["migrate"] = "bring the tables to this release's form"
    listed = "; ".join(f"{name}: {text}" for name, text in commands.items())
    parser.add_argument("command", nargs="?", choices=tuple(commands), default="serve", help=listed)
    if schema is not None:
        parser.add_argument(
            "--wait", type=float, default=0.0, help="migrate: seconds to wait for a database that is away"
        )
    given = parser.parse_args()
    if given.command == "migrate" and schema is not None:
        return _migrate(settings_or_exit(StoreSettings, program), schema, given.wait)
    return serve(part, settings_or_exit(kind, program), assemble)


def _migrate(settings: StoreSettings, schema: Schema, wait_s: float) -> int:
    async def migrate() -> tuple[str, str]:
        engine = open_database(settings, settings.state / f"{schema.name}.db", schema.name)
        try:
            return await schema.migrate(engine)
        finally:
            await engine.dispose()

    def log(error: BaseException, _: int) -> None:
        print(f"swath_{schema.name}: {error}; trying again", file=sys.stderr, flush=True)

    # Where a whole suite is started at once, the database takes as long as any part of it. What broke in the middle may
    # be done again: each step looks first which ones are there.
    retry = Retry(on=Unavailable, initial_s=1.0, max_s=2.0, timeout_s=wait_s)
    try:
        before, after = asyncio.run(retry.call_async(migrate, log=log))
    except SwathError as error:
        print(f"swath_{schema.name}: {error.message}", file=sys.stderr)
        return 1
    print(f"swath_{schema.name}: tables are of revision {after}" + (f", were of {before}" if before else ""))
    return 0


def serve(part: str, settings: S, assemble: Callable[[S, AsyncExitStack], Awaitable[Assembly]]) -> int:
    """Run a service until SIGTERM or SIGINT, then drain it; return the process's exit status.

    Args:
        part: Name of the service, such as "config".
        settings: Its settings.
        assemble: Puts it together; what it opens it hands to the stack, which closes it after the last answer.
    """
    configure_logs(settings)
    try:
        asyncio.run(_serve(part, settings, assemble))
    except SwathError as error:
        print(f"swath_{part}: {error.message}", file=sys.stderr)
        return 1
    return 0


async def _serve(part: str, settings: S, assemble: Callable[[S, AsyncExitStack], Awaitable[Assembly]]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        assembly = await assemble(settings, stack)
        stack.push_async_callback(asyncio.to_thread, configure_tracing(part, settings.otlp_address, settings.replica))
        metrics = Metrics()
        if assembly.metrics is not None:
            assembly.metrics(metrics)
        server = Server(
            settings, assembly.handlers, assembly.names, assembly.health, behind_gateway=True, metrics=metrics
        )
        await server.start()
        print(f"swath_{part}: listening on {settings.host}:{server.port}", flush=True)
        warming = asyncio.create_task(_warm_up(part, assembly))
        await stopping.wait()
        print(f"swath_{part}: draining", flush=True)
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming
        await server.drain(assembly.send_away)


async def _warm_up(part: str, assembly: Assembly) -> None:
    try:
        if assembly.warm_up is not None:
            await assembly.warm_up()
    except Exception:
        _log.exception("the service did not come up; its health stays NOT_SERVING", service=part)
    else:
        await assembly.health.set_ready(part)
