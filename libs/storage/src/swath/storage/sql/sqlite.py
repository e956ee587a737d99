"""SQLite for one machine: a file that any number of processes may share.

SQLite lets one connection write at a time. A transaction that begins with a read and writes later cannot wait for its
turn (its snapshot would be stale), so it fails; one that says at its beginning that it will write waits.

The asynchronous driver changes threads several times a statement. What is called for each request goes through `run`
instead: all its work in one change of threads, at a third of the cost (0.6 ms instead of 1.8 ms for one row).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from swath.errors import StorageDenied, StorageRefused, Unavailable
from swath.storage.files import refusals

T = TypeVar("T")

_BEGIN = "swath_begin"
_THREADS = 2

NOTED = "swath_noted"


class SQLite:
    """A file, with a synchronous way into it beside the asynchronous one.

    The file is in WAL mode (readers never wait), each commit is on disk before it returns, and foreign keys hold.

    Args:
        path: The file, which is made with its folders if it is missing.
        busy_s: Seconds that a write waits for other processes' writes.

    Attributes:
        engine: The asynchronous way.
        listeners: Called after a commit, in whatever thread, with what was noted in `NOTED` of the connection's info.

    Raises:
        StorageDenied: The folder cannot be made or written.
    """

    def __init__(self, path: Path, busy_s: float) -> None:
        with refusals(f"the database {path.name}"):
            path.parent.mkdir(parents=True, exist_ok=True)
        url = URL.create("sqlite+aiosqlite", database=str(path))
        waiting = {"timeout": busy_s}
        self.engine: AsyncEngine = create_async_engine(
            url, connect_args=waiting, pool_size=4, max_overflow=0, pool_timeout=busy_s
        )
        # As many connections as threads, so that none waits for another's.
        self._direct = create_engine(
            url.set(drivername="sqlite"), connect_args=waiting, pool_size=_THREADS, max_overflow=0
        )
        self.listeners: list[Callable[[Sequence[tuple[str, str]]], None]] = []
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="swath-sql")
        # Writers of one process queue here: SQLite's own waiting sleeps between tries, up to 100 ms each.
        self._turn = asyncio.Lock()
        for each in (self.engine.sync_engine, self._direct):
            event.listen(each, "connect", _prepare)
            event.listen(each, "begin", _begin)
        event.listen(self.engine.sync_engine, "engine_disposed", self._close)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.engine.transaction`."""
        with _refusals():
            async with self._turn, self.engine.connect() as connection:
                connection = await connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                with self._telling(connection.sync_connection):
                    async with connection.begin():
                        yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `swath.storage.sql.engine.reading`."""
        with _refusals():
            async with self.engine.connect() as connection:
                yield connection

    async def run(self, work: Callable[[Connection], T], *, write: bool) -> T:
        """As `swath.storage.sql.engine.run`. A call that is cancelled meanwhile does not stop the work."""

        def act() -> T:
            with _refusals(), self._direct.connect() as connection:
                connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE" if write else "BEGIN"})
                with self._telling(connection), connection.begin():
                    return work(connection)

        loop = asyncio.get_running_loop()
        if not write:
            return await loop.run_in_executor(self._threads, act)
        async with self._turn:
            return await loop.run_in_executor(self._threads, act)

    @contextmanager
    def _telling(self, connection: Connection | None) -> Iterator[None]:
        """Hand on what was noted on a connection, after the commit; it is forgotten where there is none."""
        info = {} if connection is None else connection.info
        try:
            yield
        except BaseException:
            info.pop(NOTED, None)
            raise
        noted = info.pop(NOTED, ())
        for listener in self.listeners if noted else ():
            listener(noted)

    def _close(self, engine: object) -> None:
        self._threads.shutdown()
        self._direct.dispose()


def _prepare(connection: Any, record: object) -> None:
    # The driver would otherwise begin transactions by itself, and only at the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "journal_size_limit = 67108864"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        words = str(error.orig)
        if "disk is full" in words:
            raise StorageRefused("no room on the server: its database is full") from error
        if "readonly" in words or "unable to open" in words or "disk I/O" in words:
            raise StorageDenied(f"the server cannot write its database: {words}") from error
        if "is locked" in words:
            raise Unavailable("the database is busy with another process's writes", retry_after=1.0) from error
        raise
