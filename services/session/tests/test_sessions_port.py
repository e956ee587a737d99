"""What other services ask of sessions, within one process and over gRPC alike."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from swath.errors import RevisionConflict, SessionNotFound, Unavailable
from swath.sessions.client import RemoteSessions
from swath.sessions.model import Profiling, Sessions
from swath_session import SessionAuthority

HOUR = 3600.0


@pytest.fixture(params=["local", "remote"])
def port(request: pytest.FixtureRequest, sessions: SessionAuthority) -> Sessions:
    """Sessions as another service has them."""
    return sessions if request.param == "local" else request.getfixturevalue("remote")


async def test_a_session_is_read_as_it_was_written(port: Sessions) -> None:
    made = await port.create("somebody")
    assert (await port.get(made.id)) == made
    changes = {
        "search_paths": ("/a", "/b"),
        "pipeline_digest": "sha256:1",
        "plugins": ("{}",),
        "profiling": Profiling(enabled=True, skip_first=3, generation=2),
        "active_run": "run",
    }
    written = await port.update(made.id, made.revision, **changes)
    assert {name: getattr(written, name) for name in changes} == changes
    assert (written.revision, written.owner, written.weights_digest) == (made.revision + 1, "somebody", None)
    assert await port.get(made.id) == written


async def test_a_field_is_cleared(port: Sessions) -> None:
    made = await port.create()
    held = await port.update(made.id, made.revision, active_run="run", weights_digest="sha256:2")
    free = await port.update(made.id, held.revision, active_run=None)
    assert (free.active_run, free.weights_digest) == (None, "sha256:2")


async def test_whoever_comes_second_is_told(port: Sessions) -> None:
    made = await port.create()
    await port.update(made.id, made.revision, active_run="first")
    with pytest.raises(RevisionConflict):
        await port.update(made.id, made.revision, active_run="second")


async def test_changes_that_meet_all_count(port: Sessions) -> None:
    made = await port.create()

    async def add(path: str) -> None:
        await port.change(made.id, lambda session: {"search_paths": (*session.search_paths, path)})

    await asyncio.gather(*(add(f"/{number}") for number in range(8)))
    assert sorted((await port.get(made.id)).search_paths) == [f"/{number}" for number in range(8)]


async def test_a_session_that_is_not_there(port: Sessions) -> None:
    for call in (port.get("nothing"), port.update("nothing", 1), port.close("nothing")):
        with pytest.raises(SessionNotFound, match="nothing"):
            await call


async def test_reading_keeps_a_session_alive(port: Sessions, clock: SimpleNamespace) -> None:
    made = await port.create()
    clock.now += HOUR - 1
    await port.get(made.id)
    clock.now += HOUR - 1
    assert (await port.get(made.id)).id == made.id


async def test_sessions_that_go_are_told_of(port: Sessions, sessions: SessionAuthority, clock: SimpleNamespace) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    closed, expired = await port.create(), await port.create()
    # Whether the watch over gRPC stands by then or not: what goes before is asked for when it does. So it may be told
    # twice.
    port.on_close(told.put, lambda: [closed.id, expired.id])
    await port.close(closed.id)
    assert await asyncio.wait_for(told.get(), 10) == closed.id
    clock.now += HOUR
    await sessions.sweep()
    while (gone := await asyncio.wait_for(told.get(), 10)) != expired.id:
        assert gone == closed.id


async def test_sessions_that_went_while_nobody_listened_are_found(
    authority: Any, remote: RemoteSessions, sessions: SessionAuthority
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    stays, goes = await remote.create(), await remote.create()
    remote.on_close(told.put, lambda: [stays.id, goes.id])
    await asyncio.sleep(0.2)
    await authority.stop()
    await sessions.close(goes.id)
    await authority.start()
    assert await asyncio.wait_for(told.get(), 20) == goes.id
    assert told.empty()


async def test_while_the_service_is_away_calls_are_told_to_come_back(authority: Any, remote: RemoteSessions) -> None:
    made = await remote.create()
    await authority.stop()
    with pytest.raises(Unavailable, match="session service cannot be reached"):
        await remote.get(made.id)
    await authority.start()


async def test_calls_at_once_share_their_way(remote: RemoteSessions, authority: Any) -> None:
    made = [await remote.create() for _ in range(5)]
    found = await asyncio.gather(*(remote.get(each.id) for each in made * 20))
    assert found == made * 20
