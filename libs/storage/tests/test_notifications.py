"""Replicas wake one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql.engine import open_engine, run, transaction
from swath.storage.sql.notifications import Notifications, notify


@pytest.fixture
async def engine(database: Path | str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(database, schema="test")
    async with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("CREATE SCHEMA test"))
        await connection.execute(text("CREATE TABLE seen (number INTEGER)"))
    yield engine
    await engine.dispose()


@pytest.fixture
async def notifications(engine: AsyncEngine) -> AsyncIterator[Notifications]:
    notifications = Notifications(engine)
    yield notifications
    await notifications.close()


def tell(number: int, *, channel: str = "a"):
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO seen VALUES (:number)"), {"number": number})
        notify(connection, channel, str(number))

    return work


async def test_a_notice_comes_after_its_write_and_only_on_its_channel(
    engine: AsyncEngine, notifications: Notifications
) -> None:
    async with aclosing(notifications.subscribe("a")) as arrived:
        assert await anext(arrived) is None
        await run(engine, tell(1, channel="b"), write=True)
        await run(engine, tell(2), write=True)
        assert await anext(arrived) == "2"
        found = await run(
            engine, lambda connection: connection.execute(text("SELECT number FROM seen")).scalars().all()
        )
        assert set(found) == {1, 2}


async def test_a_write_that_fails_tells_nobody(engine: AsyncEngine, notifications: Notifications) -> None:
    def fail(connection: Connection) -> None:
        tell(1)(connection)
        raise KeyError

    async with aclosing(notifications.subscribe("a")) as arrived:
        assert await anext(arrived) is None
        with suppress(KeyError):
            await run(engine, fail, write=True)
        await run(engine, tell(2), write=True)
        assert await anext(arrived) == "2"


async def test_all_who_listen_hear(engine: AsyncEngine, notifications: Notifications) -> None:
    stand = asyncio.Barrier(4)

    async def first_two() -> list[str | None]:
        async with aclosing(notifications.subscribe("a")) as arrived:
            first = await anext(arrived)
            await stand.wait()
            return [first, await anext(arrived)]

    listening = [asyncio.create_task(first_two()) for _ in range(3)]
    await stand.wait()
    await run(engine, tell(7), write=True)
    assert await asyncio.gather(*listening) == [[None, "7"]] * 3


async def test_closing_ends_what_is_listened_to(notifications: Notifications) -> None:
    arrived = notifications.subscribe("a")
    assert await anext(arrived) is None
    rest = asyncio.create_task(anext(arrived, "ended"))
    await asyncio.sleep(0)
    await notifications.close()
    assert await rest == "ended"
