"""SQL engines whose writes never fail for having waited.

SQLite lets one connection write at a time. A transaction that begins with a read and writes later cannot wait for its
turn (its snapshot would be stale), so it fails; one that says at its beginning that it will write waits. Hence
`transaction` (BEGIN IMMEDIATE) and `reading` (a plain snapshot) here, and `GroupWriter` for many small writes.

The asynchronous driver changes threads several times a statement. What is called for each request goes through `run`
instead: all its work in one change of threads, at a third of the cost (0.6 ms instead of 1.8 ms for one row).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Float, MetaData, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from swath.errors import StorageDenied, StorageRefused, Unavailable
from swath.storage.files import refusals

T = TypeVar("T")

_BEGIN = "swath_begin"
# Writers of one process queue here: SQLite's own waiting sleeps between tries, up to 100 ms each.
_turns: WeakKeyDictionary[Engine, asyncio.Lock] = WeakKeyDictionary()
_THREADS = 2


class now(FunctionElement[float]):  # noqa: N801  (SQL functions are written in lower case)
    """The database's clock in an expression: Unix time in seconds, to the millisecond."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class _Threads:
    """A second, synchronous way into the same file, with threads to take it."""

    def __init__(self, url: URL, busy_s: float) -> None:
        # As many connections as threads, so that none waits for another's.
        self.engine = create_engine(
            url.set(drivername="sqlite"), connect_args={"timeout": busy_s}, pool_size=_THREADS, max_overflow=0
        )
        self.executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="swath-sql")

    def close(self, engine: Engine) -> None:
        self.executor.shutdown()
        self.engine.dispose()


_threads: WeakKeyDictionary[Engine, _Threads] = WeakKeyDictionary()


def open_engine(path: Path, *, busy_s: float = 30.0) -> AsyncEngine:
    """Open a SQLite file, which is made with its folders if it is missing.

    The file is in WAL mode (readers never wait), each commit is on disk before it returns, and foreign keys hold.

    Args:
        path: The file.
        busy_s: Seconds that a write waits for other processes' writes.

    Raises:
        StorageDenied: The folder cannot be made or written.
    """
    with refusals(f"the database {path.name}"):
        path.parent.mkdir(parents=True, exist_ok=True)
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = create_async_engine(
        url,
        connect_args={"timeout": busy_s},
        pool_size=4,
        max_overflow=0,
        pool_timeout=busy_s,
    )
    threads = _threads[engine.sync_engine] = _Threads(url, busy_s)
    for each in (engine.sync_engine, threads.engine):
        event.listen(each, "connect", _prepare)
        event.listen(each, "begin", _begin)
    event.listen(engine.sync_engine, "engine_disposed", threads.close)
    return engine


def _prepare(connection: Any, record: object) -> None:
    # The driver would otherwise begin transactions by itself, and only at the first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "journal_size_limit = 67108864"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that may write: it commits at the end of the block and rolls back on an error.

    Raises:
        StorageRefused: No room.
        StorageDenied: The file cannot be written.
        Unavailable: Another process has been writing for longer than the time to wait.
    """
    turn = _turns.setdefault(engine.sync_engine, asyncio.Lock())
    with _refusals():
        async with turn, engine.connect() as connection:
            connection = await connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            async with connection.begin():
                yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection whose reads all see one snapshot and never wait for writers."""
    with _refusals():
        async with engine.connect() as connection:
            yield connection


async def run(engine: AsyncEngine, work: Callable[[Connection], T], *, write: bool = False) -> T:
    """Run `work` with a connection in a thread and return its result: all it does is one transaction.

    A call that is cancelled meanwhile does not stop the work.

    Args:
        engine: From `open_engine`.
        work: Does its statements on the connection and nothing that waits for anything else.
        write: Whether it may write; it then has its turn like a `transaction`.

    Raises:
        As `transaction`.
    """
    threads = _threads[engine.sync_engine]

    def act() -> T:
        with _refusals(), threads.engine.connect() as connection:
            connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE" if write else "BEGIN"})
            with connection.begin():
                return work(connection)

    loop = asyncio.get_running_loop()
    if not write:
        return await loop.run_in_executor(threads.executor, act)
    async with _turns.setdefault(engine.sync_engine, asyncio.Lock()):
        return await loop.run_in_executor(threads.executor, act)


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


async def create_tables(engine: AsyncEngine, metadata: MetaData) -> None:
    """Make the tables that are missing; several processes may do so at once."""
    async with transaction(engine) as connection:
        await connection.run_sync(metadata.create_all)


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
        try:
            results = await run(self._engine, lambda connection: [work(connection) for work, _ in group], write=True)
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    await self._commit([one])
            elif not group[0][1].done():
                group[0][1].set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
