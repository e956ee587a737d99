"""SQL engines on SQLite and Postgres whose writes never fail because of other writes.

There is one writer at a time per database (on Postgres: per schema), so transactions that read, decide and write need
no other lock: `transaction` and `run(write=True)` wait at their beginning. Readers never wait. `GroupWriter` commits
many small writes together.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Float
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from swath.errors import Unavailable
from swath.storage.sql.postgres import Postgres
from swath.storage.sql.sqlite import SQLite

T = TypeVar("T")


class Database(Protocol):
    """The database behind an engine of this module."""

    @property
    def engine(self) -> AsyncEngine:
        """Its pool of connections."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """As `transaction`."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """As `reading`."""
        ...

    async def run(self, work: Callable[[Connection], T], *, write: bool) -> T:
        """As `run`."""
        ...


_databases: WeakKeyDictionary[Engine, Database] = WeakKeyDictionary()


class now(FunctionElement[float]):  # noqa: N801  (SQL functions are written in lower case)
    """The database's clock in an expression: Unix time in seconds, to the millisecond."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgres(element: now, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch from statement_timestamp()) AS double precision)"


def open_engine(where: Path | str, *, schema: str = "", busy_s: float = 30.0) -> AsyncEngine:
    """Open a database.

    Args:
        where: A SQLite file, made with its folders if it is missing; or the URL of a Postgres database.
        schema: Schema in Postgres.
        busy_s: Seconds that a write to a SQLite file waits for other processes' writes.

    Raises:
        StorageDenied: The folder cannot be made or written.
        InvalidInput: It is not the URL of a Postgres database.
    """
    database: Database = SQLite(where, busy_s) if isinstance(where, Path) else Postgres(where, schema)
    _databases[database.engine.sync_engine] = database
    return database.engine


def database_of(engine: AsyncEngine) -> Database:
    """Return the database behind an engine of `open_engine`."""
    return _databases[engine.sync_engine]


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that may write: it commits at the end of the block and rolls back on an error.

    Raises:
        StorageRefused: No room.
        StorageDenied: The database may not be written.
        Unavailable: Other processes have been writing for longer than the time limit, or the server is unreachable.
        OutcomeUnknown: The connection broke during the commit.
    """
    await _come_home()
    async with database_of(engine).transaction() as connection:
        yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection whose reads all see one snapshot and never wait for writers."""
    await _come_home()
    async with database_of(engine).reading() as connection:
        yield connection


async def run(engine: AsyncEngine, work: Callable[[Connection], T], *, write: bool = False) -> T:
    """Run `work` with a connection and return its result: all it does is one transaction.

    Args:
        engine: From `open_engine`.
        work: Runs statements on the connection and waits for nothing else; called in a thread.
        write: Whether it may write; then it waits for other writers like a `transaction`.

    Raises:
        As `transaction`.
    """
    await _come_home()
    return await database_of(engine).run(work, write=write)


async def _come_home() -> None:
    """Go on in the event loop's own thread: SQLAlchemy's greenlets cannot change threads, as tasks of some loops do."""
    come_home = getattr(asyncio.get_running_loop(), "come_home", None)
    if come_home is not None:
        await come_home()


class GroupWriter:
    """Group commit: writes that arrive during a commit are committed together, in one transaction.

    A commit waits for the disk, so this is what makes thousands of small writes per second possible. A write is
    acknowledged (`write` returns) only after its commit.

    Args:
        engine: Where to write.
        most: Maximum writes per transaction.
    """

    def __init__(self, engine: AsyncEngine, *, most: int = 512) -> None:
        self._engine = engine
        self._most = most
        self._waiting: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is committed.

        Args:
            work: Reads and writes on the connection and does nothing else: it is called again if another write of the
                same transaction fails. Its exception is raised to this caller only; nothing that it wrote is kept.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await future

    async def close(self) -> None:
        """Wait until all writes are committed."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                # A caller that was cancelled before the work began does not want it done.
                await self._commit([(work, future) for work, future in group if not future.done()])
        finally:
            self._task = None

    async def _commit(self, group: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]]) -> None:
        if not group:
            return
        at = 0

        def work(connection: Connection) -> list[Any]:
            nonlocal at
            results = []
            for at, (each, _) in enumerate(group):  # noqa: B007 - which one failed
                results.append(each(connection))
            return results

        try:
            results = await run(self._engine, work, write=True)
        except Exception as error:
            # An unreachable database is no fault of a single write, and what it may have written is not repeated.
            if len(group) == 1 or isinstance(error, Unavailable):
                for _, future in group:
                    if not future.done():
                        future.set_exception(copy.copy(error) if len(group) > 1 else error)
                return
            # The one that failed is tried alone, after those before it, so that only it gets its error.
            for part in (group[:at], group[at : at + 1], group[at + 1 :]):
                await self._commit(part)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
