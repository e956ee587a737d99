"""Postgres for many replicas, with the semantics of one SQLite file.

Writers of a schema take turns by an advisory lock: a transaction that reads, decides and writes is then right whatever
other replicas do, and no write fails for having met another. Group commits carry the throughput. The server's own
time limits end a transaction whose process is frozen or cut off, so that it holds the others up for seconds only.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from swath.errors import InvalidInput, OutcomeUnknown, StorageDenied, StorageRefused, Unavailable

T = TypeVar("T")

_CONNECTIONS = 8
_CONNECT_S = 5.0
_LIMITS = {
    # A writer waits so long for its turn.
    "lock_timeout": "10s",
    "statement_timeout": "15s",
    # A frozen process holds the writers' lock for no longer than this.
    "idle_in_transaction_session_timeout": "5s",
}

_NO_ROOM = {"53100", "53200"}
_DENIED = {"25006", "42501", "28000", "28P01", "3D000"}
_BUSY = {"55P03", "57014", "25P03"}


class Postgres:
    """A schema of a Postgres database.

    Args:
        url: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; more hosts and options as libpq takes them.
        schema: The schema; it must be there unless tables are about to be made.

    Attributes:
        engine: Connections to it.
        schema: Its name.
        dsn: How the driver itself connects.

    Raises:
        InvalidInput: The URL is none of Postgres.
    """

    def __init__(self, url: str, schema: str) -> None:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise InvalidInput(f"the database must be postgresql://..., got {parsed.render_as_string()!r}")
        self.schema = schema
        self.dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        self.settings = {"search_path": schema, "application_name": f"swath-{schema}", **_LIMITS}
        self._lock = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=zlib.crc32(f"swath/{schema}".encode()))
        self.engine: AsyncEngine = create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"),
            connect_args={"server_settings": self.settings, "timeout": _CONNECT_S, "command_timeout": 20.0},
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_CONNECT_S,
            # Connections that a restart of the server has cut are found out before they are used.
            pool_pre_ping=True,
        )
        # Writers of one process queue here, so that they take one connection and not all.
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.transaction`."""
        with _refusals():
            async with self._turn, self.engine.connect() as connection:
                transaction = await connection.begin()
                try:
                    await connection.execute(self._lock)
                    yield connection
                except BaseException:
                    await transaction.rollback()
                    raise
                with _committing():
                    await transaction.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.reading`."""
        with _refusals():
            async with self.engine.connect() as connection:
                yield await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def run(self, work: Callable[[Connection], T], *, write: bool) -> T:
        """As `swath.storage.sql.run`."""
        async with self.transaction() if write else self.reading() as connection:
            return await connection.run_sync(work)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _refusal(error) from error
    except (PoolTimeout, TimeoutError, OSError) as error:
        raise _away(error) from error


@contextmanager
def _committing() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, TimeoutError, OSError) as error:
        if isinstance(error, DBAPIError) and not _cut(error):
            raise
        raise OutcomeUnknown(
            "the connection to the database broke while the change was being written: it may be there or not; look "
            "before repeating what is not idempotent",
            retry_after=1.0,
        ) from error


def _refusal(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None) or ""
    if _cut(error):
        return _away(error)
    if state in _NO_ROOM:
        return StorageRefused("no room on the server: its database is full")
    if state in _DENIED:
        return StorageDenied(f"the server cannot write its database: {error.orig}")
    if state in _BUSY:
        return Unavailable("the database is busy with other replicas' writes", retry_after=1.0)
    return error


def _cut(error: DBAPIError) -> bool:
    """Whether the connection is gone, or was refused because the server comes or goes."""
    state: Any = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(("08", "57P")) or state == "53300"


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"the database cannot be reached: {type(error).__name__}", retry_after=1.0)
