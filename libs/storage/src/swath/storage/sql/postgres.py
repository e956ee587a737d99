"""Postgres for many replicas, with the semantics of one SQLite file.

Writers of a schema take turns by an advisory lock: a transaction that reads, decides and writes is then right whatever
other replicas do, and no write fails for having met another. Group commits carry the throughput. The server's own
time limits end a transaction whose process is frozen or cut off, so that it holds the others up for seconds only.

What broke before its commit was sent was not written: it is done again on a fresh connection, which is how a restart of
the server heals. What broke while the commit was under way may have been written, and is never done again here.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from swath.errors import (
    InvalidInput,
    OutcomeUnknown,
    StorageDenied,
    StorageRefused,
    SwathError,
    Unavailable,
)
from swath.retry import Retry

T = TypeVar("T")

_CONNECTIONS = 8
_CONNECT_S = 5
_COMMAND_S = 20.0
_LIMITS = {
    # A writer waits so long for its turn.
    "lock_timeout": "10s",
    "statement_timeout": "15s",
    # A frozen process holds the writers' lock for no longer than this.
    "idle_in_transaction_session_timeout": "5s",
    # Small statements all of them: compiling one takes longer than running it.
    "jit": "off",
}
_WRITE = "swath_write"
_READ: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

_NO_ROOM = {"53100", "53200"}
_DENIED = {"42501", "28000", "28P01", "3D000"}
_BUSY = {"55P03", "57014"}
# The server comes or goes, is full of connections, is a copy that takes no writes, or has changed its tables under a
# prepared statement: another try, on another connection, may go through.
_RETRYABLE_STATES = ("08", "57P", "53300", "25006", "25P03", "40")
# Text with a NUL or half a surrogate pair, a number beyond the column, text beyond it.
_UNFIT = {"22021", "22P05", "22003", "22001"}


class Postgres:
    """A schema of a Postgres database.

    Args:
        url: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; several hosts and options as asyncpg takes them.
        schema: The schema; it must be there unless tables are about to be made.

    Attributes:
        engine: Connections to it.
        schema: Its name.

    Raises:
        InvalidInput: The URL is none of Postgres.
    """

    def __init__(self, url: str, schema: str) -> None:
        scheme, found, _ = url.partition("://")
        if not found or scheme not in ("postgresql", "postgres"):
            # The rest may hold a password.
            raise InvalidInput(f"the database must be given as postgresql://..., got {scheme[:32]!r}")
        self.schema = schema
        self._dsn = url
        self._settings = {"search_path": schema, "application_name": f"swath-{schema}", **_LIMITS}
        self._lock = f"SELECT pg_advisory_xact_lock({zlib.crc32(f'swath/{schema}'.encode())})"
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self.connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_CONNECT_S,
            pool_use_lifo=True,
        )
        event.listen(self.engine.sync_engine, "begin", self._begin)
        event.listen(self.engine.sync_engine, "engine_disposed", self._dispose)
        # Writers of one process queue here, so that they take one connection and not all.
        self._turn = asyncio.Lock()
        self._disposed = False

    async def connect(self) -> Any:
        """Make a connection of the driver's own, whose errors are its own too."""
        import asyncpg

        return await asyncpg.connect(
            self._dsn, server_settings=self._settings, timeout=_CONNECT_S, command_timeout=_COMMAND_S
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.engine.transaction`."""
        async with self._turn:
            connection = await _retried(lambda: self._opened({_WRITE: True}))
            try:
                with _refusals():
                    yield connection
                with _committing():
                    await connection.commit()
            finally:
                await connection.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.engine.reading`."""
        connection = await _retried(lambda: self._opened(_READ))
        try:
            with _refusals():
                yield connection
        finally:
            await connection.close()

    async def run(self, work: Callable[[Connection], T], *, write: bool) -> T:
        """As `swath.storage.sql.engine.run`. A call that is cancelled meanwhile does not stop the work."""
        # Cancelled in the middle, a connection is of no more use, and a commit has no known outcome.
        task = asyncio.create_task(self._run(work, write))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    async def _run(self, work: Callable[[Connection], T], write: bool) -> T:
        def act() -> T:
            with _away(), self.engine.sync_engine.connect() as connection:
                connection = connection.execution_options(**({_WRITE: True} if write else _READ))
                try:
                    with _refusals():
                        connection.begin()
                        result = work(connection)
                    if write:
                        with _committing():
                            connection.commit()
                    else:
                        connection.rollback()
                except (_NotDone, OutcomeUnknown, OSError, TimeoutError):
                    connection.invalidate()  # the next one may be to another server
                    raise
                if self._disposed:
                    connection.invalidate()  # nobody would close it any more
                return result

        if not write:
            return await _retried(lambda: greenlet_spawn(act))
        async with self._turn:
            return await _retried(lambda: greenlet_spawn(act))

    async def _opened(self, options: Mapping[str, Any]) -> AsyncConnection:
        with _away(), _refusals():
            connection = await self.engine.connect().start()
            try:
                connection = await connection.execution_options(**options)
                await connection.begin()
                if _WRITE not in options:
                    # A connection that a restart has cut shows here, where another can still be taken.
                    await connection.exec_driver_sql("SELECT 1")
            except BaseException:
                await connection.close()
                raise
            return connection

    def _dispose(self, engine: object) -> None:
        self._disposed = True

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITE):
            connection.exec_driver_sql(self._lock).close()


class _NotDone(Unavailable):
    """Nothing was written, and another try may go through."""


_RETRY = Retry(on=_NotDone, initial_s=0.02, max_s=0.5, timeout_s=4.0)


async def _retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again what is known not to be written."""
    try:
        return await _RETRY.call_async(attempt)
    except _NotDone as error:
        raise Unavailable(error.message, retry_after=1.0) from error


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if (refused := _refusal(error)) is None:
            raise
        raise refused from error


@contextmanager
def _away() -> Iterator[None]:
    """Around what connects: the driver's own errors."""
    try:
        with _refusals():
            yield
    except PoolTimeout as error:
        raise Unavailable("all connections to the database are in use", retry_after=1.0) from error
    except (TimeoutError, OSError) as error:
        raise _not_done(str(error) or "it does not answer") from error


@contextmanager
def _committing() -> Iterator[None]:
    try:
        with _refusals():
            yield
    except (_NotDone, TimeoutError, OSError) as error:
        state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) or ""
        if state.startswith("40"):
            raise  # the server says that it rolled back
        raise OutcomeUnknown(
            "the connection to the database broke while the change was being written: it may be there or not; look "
            "before repeating what is not idempotent"
        ) from error


def _refusal(error: DBAPIError) -> SwathError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    words = str(error.orig).partition("\n")[0]
    if state in _NO_ROOM:
        return StorageRefused("no room on the server: its database is full")
    if state in _DENIED:
        return StorageDenied(f"the server may not use its database: {words}")
    if state in _BUSY:
        return Unavailable("the database is busy with other replicas' writes", retry_after=1.0)
    if state in _UNFIT or "invalid input for query argument" in words:
        return InvalidInput("a text holds a NUL or half a character, or a number or text is too large to be kept")
    if error.connection_invalidated or state.startswith(_RETRYABLE_STATES) or "cached statement plan" in words:
        return _not_done(words)
    return None


def _not_done(why: str) -> _NotDone:
    return _NotDone(f"the server cannot reach its database: {why}", retry_after=1.0)
