"""One service in a process of its own: `python -m swath_<service>`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from swath.errors import SwathError, Unavailable
from swath.retry import Retry
from swath.rpc.server.reactor import run
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.logs import configure_logs, tell
from swath.runtime.replica import ReplicaSettings, StoreSettings, open_deps
from swath.runtime.serving import Program, serve
from swath.runtime.settings import problems
from swath.runtime.variables import mistyped
from swath.storage.opening import open_database
from swath.storage.sql.migrations import Schema

S = TypeVar("S", bound=ReplicaSettings)
B = TypeVar("B", bound=BaseSettings)

_log = structlog.get_logger("swath.process")


def settings_or_exit(kind: type[B], program: str) -> B:
    """Return settings from the environment; exit with a line for each that is wrong."""
    try:
        return kind()
    except (ValidationError, SettingsError) as error:
        for line in problems(error):
            tell(f"{program}: {line}", sys.stderr)
        raise SystemExit(2) from None


def warn_mistyped() -> None:
    """Log a warning for each variable that was meant to be a setting."""
    for line in mistyped():
        _log.warning("a variable is ignored", error=line)


def main(
    service: str,
    kind: type[S],
    assemble: Callable[[S, Deps], Assembly],
    *,
    schema: Schema | None = None,
    database: str = "",
    others: Sequence[str] = (),
) -> int:
    """Be `python -m swath_<service>`; return the process's exit status.

    Args:
        service: Name of the service.
        kind: Its settings.
        assemble: Builds it, with clients of the services that it asks.
        schema: Its tables, if it owns some.
        database: SQLite file of these, relative to the state folder; that of `schema.name` if not given.
        others: Services whose health it reports beside its own.
    """
    title = f"swath_{service}"
    parser = argparse.ArgumentParser(prog=f"python -m {title}", description=f"The {service} service of Swath.")
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
        return _migrate(settings_or_exit(StoreSettings, title), schema, database or f"{schema.name}.db", given.wait)
    settings = settings_or_exit(kind, title)
    program = Program(
        title=title,
        service=service,
        replica=settings.replica,
        in_suite=True,
        others={other: settings.addresses(other) for other in others},
    )
    configure_logs(settings)
    warn_mistyped()
    try:
        run(serve(settings, program, lambda stack: [assemble(settings, open_deps(settings, stack))]))
    except SwathError as error:
        tell(f"{title}: {error.message}", sys.stderr)
        return 1
    return 0


def _migrate(settings: StoreSettings, schema: Schema, file: str, wait_s: float) -> int:
    async def migrate() -> tuple[str, str]:
        engine = open_database(settings, settings.state / file, schema.name)
        try:
            return await schema.migrate(engine)
        finally:
            await engine.dispose()

    def log(error: BaseException, _: int) -> None:
        tell(f"swath_{schema.name}: {error}; trying again", sys.stderr)

    # Where a whole suite is started at once, the database takes as long as any part of it. What broke in the middle may
    # be done again: each step looks first which ones are there.
    retry = Retry(on=Unavailable, initial_s=1.0, max_s=2.0, timeout_s=wait_s)
    try:
        before, after = asyncio.run(retry.call_async(migrate, log=log))
    except SwathError as error:
        tell(f"swath_{schema.name}: {error.message}", sys.stderr)
        return 1
    were = f", were of {before}" if before else ""
    tell(f"swath_{schema.name}: tables are of revision {after}{were}", sys.stdout)
    return 0
