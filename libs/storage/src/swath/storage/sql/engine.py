"""SQL engines whose writes never fail for having waited, on SQLite and on Postgres alike.

One writer at a time a database (on Postgres: a schema) makes transactions that read, decide and write right without
more ado: `transaction` and `run(write=True)` wait for their turn at their beginning. Readers never wait. `GroupWriter`
commits many small writes together.
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
from swath.storage.sql.sqlite import SQLite

T = TypeVar("T")


class Database(Protocol):
    """What an engine of this module stands on."""

    @property
    def engine(self) -> AsyncEngine:
        """Its connections."""
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
        where: A SQLite file, which is made with its folders if it is missing; or the URL of a Postgres database.
        schema: Schema in Postgres.
        busy_s: Seconds that a write to a SQLite file waits for other processes' writes.

    Raises:
        StorageDenied: The folder cannot be made or written.
        InvalidInput: The URL is none of Postgres.
    """
    if isinstance(where, Path):
        database: Database = SQLite(where, busy_s)
    else:
        # Standalone needs no driver of Postgres.
        from swath.storage.sql.postgres import Postgres

        database = Postgres(where, schema)
    _databases[database.engine.sync_engine] = database
    return database.engine


def database_of(engine: AsyncEngine) -> Database:
    """Return what an engine of `open_engine` stands on."""
    return _databases[engine.sync_engine]


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that may write: it commits at the end of the block and rolls back on an error.

    Raises:
        StorageRefused: No room.
        StorageDenied: The database may not be written.
        Unavailable: Other processes have been writing for longer than the time to wait, or the server is away.
        OutcomeUnknown: The server went away during the commit.
    """
    async with database_of(engine).transaction() as connection:
        yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection whose reads all see one snapshot and never wait for writers."""
    async with database_of(engine).reading() as connection:
        yield connection


async def run(engine: AsyncEngine, work: Callable[[Connection], T], *, write: bool = False) -> T:
    """Run `work` with a connection and return its result: all it does is one transaction.

    Args:
        engine: From `open_engine`.
        work: Does its statements on the connection and nothing that waits for anything else; called in a thread.
        write: Whether it may write; it then has its turn like a `transaction`.

    Raises:
        As `transaction`.
    """
    return await database_of(engine).run(work, write=write)


class GroupWriter:
    """Commits the writes that arrive while a commit is under way together, in one transaction.

    A commit waits for the disk, so this is what lets thousands of small writes a second through. A write is
    acknowledged (`write` returns) only after its commit.

    Args:
        engine: Where to write.
        most: Writes in one transaction at most.
    """

    def __init__(self, engine: AsyncEngine, *, most: int = 512) -> None:
        self._engine = engine
        self._most = most
        self._waiting: list[tuple[Callable[[Connection], Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is committed.

        Args:
            work: Does its reads and writes on the connection and nothing else, for it is called again if a
                neighbour in the transaction fails. Its exception is the caller's alone; nothing that it wrote is kept.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await future

    async def close(self) -> None:
        """Wait until everything that was asked for is committed."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                # Whoever has left before the work began does not want it done.
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
            for at, (each, _) in enumerate(group):  # noqa: B007 - whose turn it was when one failed
                results.append(each(connection))
            return results

        try:
            results = await run(self._engine, work, write=True)
        except Exception as error:
            # A database that is away is nobody's fault, and what it may have written must not be written again.
            if len(group) == 1 or isinstance(error, Unavailable):
                for _, future in group:
                    if not future.done():
                        future.set_exception(copy.copy(error) if len(group) > 1 else error)
                return
            # What failed is tried alone, after those before it: only so is its error its own.
            for part in (group[:at], group[at : at + 1], group[at + 1 :]):
                await self._commit(part)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
