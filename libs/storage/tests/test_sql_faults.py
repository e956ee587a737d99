"""Connections to Postgres that break at the worst moment, and what Postgres does not take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import InvalidInput, OutcomeUnknown, StorageDenied
from swath.storage.sql.engine import GroupWriter, open_engine, run, transaction


class CuttingProxy:
    """A way to Postgres that breaks where it is told to.

    Attributes:
        cut: "before" or "after" the server has the next COMMIT.
    """

    def __init__(self, url: str) -> None:
        self.cut: str | None = None
        self._url = make_url(url)
        self._deaf = False
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return self._url.set(port=port).render_as_string(hide_password=False)

    def heal(self) -> None:
        """Let everything through again."""
        self.cut, self._deaf = None, False

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._url.host, self._url.port)
        ways = [
            asyncio.create_task(self._ask(client, to_server)),
            asyncio.create_task(self._answer(server, to_client)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for writer in (to_server, to_client):
            writer.transport.abort()

    async def _ask(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await client.read(1 << 16):
                cut = self.cut if b"COMMIT;" in data else None
                if cut != "before":
                    to_server.write(data)
                if cut == "after":
                    self._deaf = True
                    await asyncio.sleep(0.2)  # the server commits, and nobody hears it
                if cut is not None:
                    return

    async def _answer(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(1 << 16):
                if not self._deaf:
                    to_client.write(data)


def add(connection: Connection) -> int:
    return connection.execute(text("UPDATE counters SET value = value + 1 RETURNING value")).scalar_one()


def value(connection: Connection) -> int:
    return connection.execute(text("SELECT value FROM counters")).scalar_one()


async def opened(url: str) -> AsyncEngine:
    engine = open_engine(url, schema="test")

    def make(connection: Connection) -> None:
        for statement in (
            "CREATE SCHEMA test",
            "CREATE TABLE counters (value integer)",
            "INSERT INTO counters VALUES (0)",
        ):
            connection.execute(text(statement))

    await run(engine, make, write=True)
    return engine


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[tuple[CuttingProxy, AsyncEngine]]:
    proxy = CuttingProxy(postgres_url)
    engine = await opened(await proxy.start())
    yield proxy, engine
    await engine.dispose()
    await proxy.stop()


@pytest.mark.parametrize(("cut", "written"), [("before", 0), ("after", 1)])
async def test_a_commit_that_was_cut_says_that_nobody_knows_and_is_not_repeated(
    proxy: tuple[CuttingProxy, AsyncEngine], cut: str, written: int
) -> None:
    way, engine = proxy
    way.cut = cut
    with pytest.raises(OutcomeUnknown):
        await GroupWriter(engine).write(add)
    way.heal()
    assert await run(engine, value) == written


async def test_a_transaction_whose_commit_was_cut(proxy: tuple[CuttingProxy, AsyncEngine]) -> None:
    way, engine = proxy
    way.cut = "after"
    with pytest.raises(OutcomeUnknown):
        async with transaction(engine) as connection:
            await connection.run_sync(add)


async def test_a_cancelled_call_breaks_no_connection(postgres_url: str) -> None:
    engine = await opened(postgres_url)

    def sleep(connection: Connection) -> None:
        connection.execute(text("SELECT pg_sleep(0.05)"))

    def born(connection: Connection) -> list[object]:
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY backend_start"
        return list(connection.execute(text(mine)).scalars())

    await asyncio.gather(run(engine, sleep), run(engine, sleep))
    before = await run(engine, born)
    for _ in range(3):
        task = asyncio.create_task(run(engine, sleep))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0.1)
    assert await run(engine, born) == before
    await engine.dispose()


async def test_urls_are_those_of_libpq(postgres_url: str) -> None:
    engine = open_engine(f"{postgres_url}?sslmode=prefer&application_name=mine", schema="test")
    assert await run(engine, lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
    await engine.dispose()


async def test_a_database_that_is_not_there_is_said_in_words(postgres_url: str) -> None:
    engine = open_engine(f"{postgres_url}_missing", schema="test")
    with pytest.raises(StorageDenied, match="does not exist"):
        await run(engine, value)
    await engine.dispose()


@pytest.mark.parametrize("unfit", ["a\0b", "a\ud800b"])
async def test_text_that_postgres_cannot_keep_is_the_callers_mistake(postgres_url: str, unfit: str) -> None:
    engine = open_engine(postgres_url, schema="test")
    with pytest.raises(InvalidInput):
        await run(engine, lambda connection: connection.execute(text("SELECT CAST(:it AS text)"), {"it": unfit}))
    await engine.dispose()
