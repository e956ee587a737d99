"""Sessions that are read again and again: answered from memory, and never as they were before a write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Float, bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import RevisionConflict, SessionNotFound
from swath.sessions.client import RemoteSessions
from swath.sessions.row_memory import RowMemory
from swath.storage.sql.engine import open_engine, run
from swath_session import SessionAuthority, SessionSettings, SessionStore
from swath_session.tables import LEASES, RECALLS

LONG = SessionSettings(session_lease_s=30.0)
"""Leases that no test waits out: whatever ends in time was told."""


def _authority(engine: AsyncEngine, clock: SimpleNamespace, **options: Any) -> SessionAuthority:
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    return SessionAuthority(SessionStore(engine, clock=at), LONG, **options)


@pytest.fixture
async def sessions(engine: AsyncEngine, clock: SimpleNamespace) -> AsyncIterator[SessionAuthority]:
    """The replica of the session service that readers ask."""
    sessions = _authority(engine, clock)
    await sessions.start()
    yield sessions
    await sessions.stop()


@pytest.fixture
def other(engine: AsyncEngine, clock: SimpleNamespace) -> SessionAuthority:
    """Another replica, at which somebody writes."""
    return _authority(engine, clock)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of sessions whose rows are read, as they are."""
    found: list[str] = []
    read = SessionStore._read

    def counted(store: SessionStore, connection: Any, session_ids: Any) -> Any:
        found.extend(session_ids)
        return read(store, connection, session_ids)

    monkeypatch.setattr(SessionStore, "_read", counted)
    return found


async def _leased(remote: RemoteSessions) -> str:
    """Return a session that a process has a lease of."""
    made = await remote.create("somebody")
    memory = remote._leases.memory
    async with asyncio.timeout(20):
        while not memory.used_since(0.0):
            await remote.get(made.id)
            await asyncio.sleep(0.01)
    return made.id


async def _rows(engine: AsyncEngine, table: Any) -> list[Any]:
    return await run(engine, lambda connection: list(connection.execute(select(table)).all()))


async def test_a_session_that_did_not_change_is_read_without_asking(remote: RemoteSessions, reads: list[str]) -> None:
    session_id = await _leased(remote)
    reads.clear()
    found = [await remote.get(session_id) for _ in range(1000)]
    assert {each.owner for each in found} == {"somebody"}
    assert reads == []


async def test_a_write_elsewhere_is_seen_by_the_next_read(
    remote: RemoteSessions, other: SessionAuthority, engine: AsyncEngine
) -> None:
    session_id = await _leased(remote)
    for number in range(1, 6):
        async with asyncio.timeout(15):
            await other.update(session_id, number, pipeline_digest=f"sha256:{number}")
        assert (await remote.get(session_id)).pipeline_digest == f"sha256:{number}"
    assert other.waits.waited >= 1
    assert await _rows(engine, RECALLS) == []
    await other.waits.stop()


async def test_who_writes_by_itself_sees_its_write(remote: RemoteSessions) -> None:
    session_id = await _leased(remote)
    async with asyncio.timeout(15):
        await remote.update(session_id, 1, active_run="run")
    assert (await remote.get(session_id)).active_run == "run"


async def test_a_session_that_is_closed_elsewhere_is_gone(
    remote: RemoteSessions, other: SessionAuthority, engine: AsyncEngine
) -> None:
    session_id = await _leased(remote)
    async with asyncio.timeout(15):
        await other.close(session_id)
    with pytest.raises(SessionNotFound):
        await remote.get(session_id)
    assert await _rows(engine, LEASES) == []
    await other.waits.stop()


async def test_of_writers_who_wait_together_one_wins(remote: RemoteSessions, other: SessionAuthority) -> None:
    session_id = await _leased(remote)
    writes = [other.update(session_id, 1, active_run=f"run {number}") for number in range(5)]
    async with asyncio.timeout(15):
        ends = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(end, RevisionConflict) for end in ends) == 4
    await other.waits.stop()


async def test_a_process_that_stops_gives_its_leases_back(remote: RemoteSessions, engine: AsyncEngine) -> None:
    await _leased(remote)
    assert len(await _rows(engine, LEASES)) == 1
    await remote.stop()
    assert await _rows(engine, LEASES) == []


async def test_a_lease_ends_with_its_session(sessions: SessionAuthority, clock: SimpleNamespace) -> None:
    made = await sessions.create()
    clock.now += made.ttl_s - 4.0
    _, leases = await sessions.read([made.id], use=False, holder="reader")
    assert leases == {made.id: pytest.approx(4.0)}


async def test_leases_of_whoever_is_gone_are_forgotten(
    sessions: SessionAuthority, engine: AsyncEngine, clock: SimpleNamespace
) -> None:
    made = await sessions.create()
    await sessions.read([made.id], use=True, holder="reader")
    clock.now += 301.0
    async with asyncio.timeout(15):
        await sessions.update(made.id, 1, active_run="run")
    assert sessions.waits.waited == 0
    await sessions.read([made.id], use=True, holder="reader")
    clock.now += 301.0
    await sessions._store.forget_leases()
    assert await _rows(engine, LEASES) == []


async def test_leases_can_be_switched_off(engine: AsyncEngine) -> None:
    sessions = SessionAuthority(SessionStore(engine), SessionSettings(session_lease_s=0.0))
    made = await sessions.create()
    found, leases = await sessions.read([made.id], use=True, holder="reader")
    assert (found, leases) == ([made], {})
    assert await _rows(engine, LEASES) == []


class TestAlone:
    """The authority of a process that nobody shares the tables with."""

    @pytest.fixture
    async def alone(self, tmp_path: Path, clock: SimpleNamespace) -> AsyncIterator[SessionAuthority]:
        sessions = _authority(open_engine(tmp_path / "session.db"), clock, alone=True)
        sessions.memory = RowMemory(lambda: clock.now)
        await sessions.start()
        yield sessions
        await sessions.stop()

    async def test_the_tables_are_read_once(self, alone: SessionAuthority, reads: list[str]) -> None:
        made = await alone.create()
        assert {await alone.get(made.id) for _ in range(1000)} == {made}
        assert reads == [made.id]

    async def test_each_write_is_seen(self, alone: SessionAuthority) -> None:
        made = await alone.create()
        for number in range(1, 20):
            assert (await alone.get(made.id)).revision == number
            await alone.update(made.id, number, pipeline_digest=f"sha256:{number}")
            assert (await alone.get(made.id)).pipeline_digest == f"sha256:{number}"
        await alone.close(made.id)
        with pytest.raises(SessionNotFound):
            await alone.get(made.id)

    async def test_readers_and_writers_at_once(self, alone: SessionAuthority) -> None:
        made = await alone.create()
        acknowledged, ended = 1, False

        async def read() -> None:
            while not ended:
                before = acknowledged
                assert (await alone.get(made.id)).revision >= before
                await asyncio.sleep(0)

        async def write() -> None:
            nonlocal acknowledged
            for _ in range(50):
                written = await alone.change(made.id, lambda session: {"plugins": (*session.plugins, "{}")})
                acknowledged = max(acknowledged, written.revision)

        readers = [asyncio.create_task(read()) for _ in range(8)]
        await asyncio.gather(*(write() for _ in range(4)))
        ended = True
        await asyncio.gather(*readers)
        assert (await alone.get(made.id)).revision == 201

    async def test_a_write_whose_caller_has_left_is_seen_too(self, alone: SessionAuthority) -> None:
        made = await alone.create()
        await alone.get(made.id)
        writing = asyncio.create_task(alone.update(made.id, 1, active_run="run"))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait(alone._writing, timeout=20)
        assert (await alone.get(made.id)).active_run == "run"

    async def test_uses_are_written_and_keep_a_session(
        self, alone: SessionAuthority, clock: SimpleNamespace, reads: list[str]
    ) -> None:
        made = await alone.create()
        for _ in range(180 * 10):
            clock.now += 6.0  # three hours, of which a session without uses lives one
            await alone.get(made.id)
        assert (await alone.get(made.id)).last_used_at >= clock.now - 66.0
        # Two a minute: the one whose use is written, and the one after that.
        assert len(reads) <= 2 * 180 + 1

    async def test_a_session_that_nobody_uses_expires(self, alone: SessionAuthority, clock: SimpleNamespace) -> None:
        made = await alone.create()
        await alone.get(made.id)
        clock.now += made.ttl_s
        with pytest.raises(SessionNotFound):
            await alone.get(made.id)
