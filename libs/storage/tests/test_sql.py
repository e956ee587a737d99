"""Databases that take many writers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import InvalidInput, StorageRefused, Unavailable
from swath.storage.sql.engine import GroupWriter, now, open_engine, reading, run, transaction

metadata = MetaData()
counters = Table(
    "counters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", Integer, CheckConstraint("value < 1000"), nullable=False),
)


async def opened(where: Path | str) -> AsyncEngine:
    engine = open_engine(where, schema="test")
    async with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("CREATE SCHEMA test"))
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(counters).values(id=1, value=0))
    return engine


@pytest.fixture
async def engine(database: Path | str) -> AsyncIterator[AsyncEngine]:
    """A database of each kind."""
    engine = await opened(database)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await opened(tmp_path / "new" / "test.db")
    yield engine
    await engine.dispose()


async def value(engine: AsyncEngine) -> int:
    async with reading(engine) as connection:
        return (await connection.execute(select(counters.c.value).where(counters.c.id == 1))).scalar_one()


async def test_each_way_in_has_the_same_settings(sqlite: AsyncEngine) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names]

    async with reading(sqlite) as connection:
        assert await connection.run_sync(pragmas) == ["wal", 2, 1, 30_000]
    assert await run(sqlite, pragmas) == ["wal", 2, 1, 30_000]


async def test_an_error_rolls_back(engine: AsyncEngine) -> None:
    with suppress(KeyError):
        async with transaction(engine) as connection:
            await connection.execute(update(counters).values(value=5))
            raise KeyError
    assert await value(engine) == 0


async def increment(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        present = (await connection.execute(select(counters.c.value))).scalar_one()
        await connection.execute(update(counters).values(value=present + 1))


async def test_transactions_that_read_and_then_write_wait_for_their_turn(engine: AsyncEngine) -> None:
    await asyncio.gather(*(increment(engine) for _ in range(40)))
    assert await value(engine) == 40


async def test_readers_do_not_wait_for_a_writer_and_see_one_snapshot(engine: AsyncEngine) -> None:
    async with reading(engine) as reader:
        before = (await reader.execute(select(counters.c.value))).scalar_one()
        await increment(engine)
        assert (await reader.execute(select(counters.c.value))).scalar_one() == before
    assert await value(engine) == before + 1


async def test_a_cancelled_transaction_leaves_nothing_and_harms_nobody(engine: AsyncEngine) -> None:
    async def half() -> None:
        async with transaction(engine) as connection:
            await connection.execute(update(counters).values(value=7))
            await asyncio.Event().wait()

    task = asyncio.create_task(half())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert await value(engine) == 0
    await increment(engine)


async def test_waiting_for_another_process_ends_in_words(tmp_path: Path, sqlite: AsyncEngine) -> None:
    hasty = open_engine(tmp_path / "new" / "test.db", busy_s=0.05)
    async with transaction(sqlite):
        with pytest.raises(Unavailable) as raised:
            await increment(hasty)
    assert raised.value.retry_after
    await hasty.dispose()


async def test_a_full_database_is_said_in_words(sqlite: AsyncEngine) -> None:
    def fill(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count = 5"))
        connection.execute(insert(counters), [{"id": number, "value": 0} for number in range(2, 5000)])

    with pytest.raises(StorageRefused):
        await run(sqlite, fill, write=True)
    assert await value(sqlite) == 0


def test_a_database_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput):
        open_engine(tmp_path / "file" / "test.db")


async def test_the_databases_clock(engine: AsyncEngine) -> None:
    at = await run(engine, lambda connection: connection.execute(select(now())).scalar_one())
    assert abs(at - time.time()) < 5


INCREMENTS = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import text
from swath.storage.sql.engine import open_engine, transaction

async def main():
    engine = open_engine(Path(sys.argv[1]))
    for _ in range(25):
        async with transaction(engine) as connection:
            value = (await connection.execute(text("SELECT value FROM counters"))).scalar_one()
            await connection.execute(text("UPDATE counters SET value = :value"), {"value": value + 1})
    await engine.dispose()

asyncio.run(main())
"""


async def test_two_processes_lose_no_write(tmp_path: Path, sqlite: AsyncEngine) -> None:
    command = (sys.executable, "-c", INCREMENTS, str(tmp_path / "new" / "test.db"))
    others = [await asyncio.create_subprocess_exec(*command) for _ in range(2)]
    assert [await other.wait() for other in others] == [0, 0]
    assert await value(sqlite) == 50


class TestGroupWriter:
    async def test_many_writes_at_once_are_all_there(self, engine: AsyncEngine) -> None:
        writer = GroupWriter(engine)

        def add(connection: Connection) -> int:
            return connection.execute(
                update(counters).values(value=counters.c.value + 1).returning(counters.c.value)
            ).scalar_one()

        values = await asyncio.gather(*(writer.write(add) for _ in range(300)))
        assert sorted(values) == list(range(1, 301))

    async def test_a_failing_write_does_not_harm_its_neighbours(self, engine: AsyncEngine) -> None:
        writer = GroupWriter(engine)

        def add(amount: int) -> asyncio.Task[None]:
            def work(connection: Connection) -> None:
                connection.execute(update(counters).values(value=counters.c.value + amount))

            return asyncio.create_task(writer.write(work))

        good, bad, also_good = add(1), add(5000), add(2)
        await asyncio.gather(good, also_good)
        with pytest.raises(IntegrityError):
            await bad
        assert await value(engine) == 3

    async def test_whoever_leaves_early_has_nothing_done(self, engine: AsyncEngine) -> None:
        writer = GroupWriter(engine)
        async with transaction(engine):
            done: list[int] = []
            first = asyncio.create_task(writer.write(lambda connection: done.append(1)))
            await asyncio.sleep(0)
            second = asyncio.create_task(writer.write(lambda connection: done.append(2)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second.cancel()
        await first
        await writer.close()
        assert done == [1]
