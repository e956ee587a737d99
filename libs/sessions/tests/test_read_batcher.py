"""Reads that share their way to the database, and never see less than they must."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextvars import ContextVar

import pytest

from swath.sessions.read_batcher import ReadBatcher


class Table:
    """Rows that a read sees as they are when it begins; it ends when the test says so."""

    def __init__(self) -> None:
        self.rows = {"a": 1, "b": 1}
        self.reads: list[list[str]] = []
        self.ends: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        self.reads.append(sorted(keys))
        seen = {key: self.rows[key] for key in keys if key in self.rows}
        if (error := await self.ends.get()) is not None:
            raise error
        return seen


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def table() -> Table:
    return Table()


async def test_a_call_that_arrives_during_a_read_shares_the_next_one_never_that_one(table: Table) -> None:
    reads = ReadBatcher(table.read)
    first = asyncio.create_task(reads.get("a"))
    await settle()
    table.rows["a"] = 2
    later = [asyncio.create_task(reads.get(key)) for key in ("a", "a", "b")]
    await settle()
    table.ends.put_nowait(None)
    table.ends.put_nowait(None)
    assert await first == 1
    assert await asyncio.gather(*later) == [2, 2, 1]
    assert table.reads == [["a"], ["a", "b"]]


async def test_missing_keys_give_none(table: Table) -> None:
    table.ends.put_nowait(None)
    assert await ReadBatcher(table.read).get("missing") is None


async def test_a_failed_read_fails_its_own_callers_only(table: Table) -> None:
    reads = ReadBatcher(table.read)
    table.ends.put_nowait(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await reads.get("a")
    table.ends.put_nowait(None)
    assert await reads.get("a") == 1


async def test_a_caller_who_leaves_harms_nobody(table: Table) -> None:
    reads = ReadBatcher(table.read)
    leaver, stayer = (asyncio.create_task(reads.get("a")) for _ in range(2))
    await settle()
    leaver.cancel()
    table.ends.put_nowait(None)
    assert await stayer == 1
    assert leaver.cancelled()


async def test_a_read_is_made_in_the_context_of_who_asked_first(table: Table) -> None:
    asking: ContextVar[str] = ContextVar("asking")
    seen: list[str] = []

    async def read(keys: Collection[str]) -> dict[str, int]:
        seen.append(asking.get())
        return await table.read(keys)

    async def ask(name: str) -> None:
        asking.set(name)
        await reads.get("a")

    reads = ReadBatcher(read)
    calls = []
    for name in ("first", "second", "third"):
        calls.append(asyncio.create_task(ask(name)))
        await settle()
        table.ends.put_nowait(None) if name == "third" else None
    table.ends.put_nowait(None)
    await asyncio.gather(*calls)
    assert seen == ["first", "second"]
