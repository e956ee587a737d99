"""A Postgres server that goes away and comes back, and replicas that freeze."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import InvalidInput, OutcomeUnknown, StorageDenied, Unavailable
from swath.storage.sql.engine import GroupWriter, open_engine, reading, run, transaction
from swath.storage.sql.notifications import Notifications, notify
from swath_suite.postgres import PostgresProcess


@pytest.fixture
def own(open_folder: Path, tmp_path: Path) -> Iterator[PostgresProcess]:
    """A server that the test may stop."""
    with PostgresProcess(open_folder / tmp_path.name) as process:
        yield process


@pytest.fixture
async def engine(own: PostgresProcess) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(own.url, schema="test")
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE SCHEMA test"))
        await connection.execute(text("CREATE TABLE written (number INTEGER PRIMARY KEY)"))
    yield engine
    await engine.dispose()


def insert(number: int):
    return lambda connection: connection.execute(text("INSERT INTO written VALUES (:number)"), {"number": number})


async def test_restarts_and_a_crash_under_load_lose_nothing_and_refuse_nobody(
    own: PostgresProcess, engine: AsyncEngine
) -> None:
    writer, acknowledged, unknown = GroupWriter(engine), set(), 0
    stop = asyncio.Event()

    async def write(worker: int) -> None:
        nonlocal unknown
        number = worker
        while not stop.is_set():
            try:
                await writer.write(insert(number))
                acknowledged.add(number)
            except OutcomeUnknown:
                unknown += 1
            number += 8

    writing = [asyncio.create_task(write(worker)) for worker in range(8)]
    for _ in range(2):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(own.restart)
    await asyncio.to_thread(own.kill)
    await asyncio.to_thread(own.start)
    before = len(acknowledged)
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*writing)
    rows = await run(engine, lambda connection: connection.execute(text("SELECT number FROM written")).scalars().all())
    assert acknowledged <= set(rows)
    assert len(rows) <= len(acknowledged) + unknown
    assert len(acknowledged) > before > 0


async def test_while_the_server_is_away_calls_are_told_to_come_back(own: PostgresProcess, engine: AsyncEngine) -> None:
    own.stop()
    calls = (
        run(engine, insert(1), write=True),
        GroupWriter(engine).write(insert(2)),
        run(engine, lambda connection: connection.closed),
    )
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
        assert outcome.retry_after
    own.start()
    await run(engine, insert(3), write=True)


async def test_listeners_are_told_to_look_again_after_a_restart(own: PostgresProcess, engine: AsyncEngine) -> None:
    notifications = Notifications(engine)
    async with aclosing(notifications.subscribe("a")) as arrived:
        assert await anext(arrived) is None
        await asyncio.to_thread(own.restart)
        assert await asyncio.wait_for(anext(arrived), 20) is None

        def tell(connection: Connection) -> None:
            notify(connection, "a", "again")

        await run(engine, tell, write=True)
        assert await anext(arrived) == "again"
    await notifications.close()


FREEZE = """
import asyncio, sys
from sqlalchemy import text
from swath.storage.sql.engine import open_engine, transaction

async def main():
    async with transaction(open_engine(sys.argv[1], schema="test")) as connection:
        await connection.execute(text("INSERT INTO written VALUES (1)"))
        print("inside", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_replica_that_freezes_in_a_write_holds_the_others_up_for_seconds_only(
    own: PostgresProcess, engine: AsyncEngine
) -> None:
    frozen = await asyncio.create_subprocess_exec(sys.executable, "-c", FREEZE, own.url, stdout=asyncio.subprocess.PIPE)
    assert frozen.stdout is not None
    assert await frozen.stdout.readline() == b"inside\n"
    frozen.send_signal(signal.SIGSTOP)
    await asyncio.wait_for(run(engine, insert(2), write=True), 15)
    frozen.kill()
    await frozen.wait()
    async with reading(engine) as connection:
        assert (await connection.execute(text("SELECT number FROM written"))).scalars().all() == [2]


async def test_a_user_who_may_not_write_is_told_so(own: PostgresProcess, engine: AsyncEngine) -> None:
    own.query("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    own.query("GRANT USAGE ON SCHEMA test TO reader")
    own.query("GRANT SELECT ON ALL TABLES IN SCHEMA test TO reader")
    reader = open_engine(
        make_url(own.url).set(username="reader", password="reader").render_as_string(hide_password=False), schema="test"
    )
    with pytest.raises(StorageDenied):
        await run(reader, insert(1), write=True)
    await reader.dispose()


def test_a_url_of_something_else_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidInput) as raised:
        open_engine("mysql://me:secret@host/db", schema="test")
    assert "secret" not in raised.value.message
