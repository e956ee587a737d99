"""How many sessions an identity may have open."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from sqlalchemy import Float, bindparam
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import SessionQuota
from swath.storage.sql.engine import open_engine
from swath_session import SessionAuthority, SessionSettings, SessionStore

LIMIT = 3


@pytest.fixture
async def limited(engine: AsyncEngine, clock: SimpleNamespace):
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    service = SessionAuthority(SessionStore(engine, clock=at), SessionSettings(quota_sessions=LIMIT))
    await service.start()
    yield service
    await service.stop()


async def filled(sessions: SessionAuthority, owner: str) -> list[str]:
    return [(await sessions.create(owner)).id for _ in range(LIMIT)]


async def test_one_more_is_refused_in_words(limited: SessionAuthority) -> None:
    await filled(limited, "ada")
    with pytest.raises(SessionQuota, match="ada has 3 of 3 open sessions: close one") as told:
        await limited.create("ada")
    assert (told.value.code, told.value.reason) == ("RESOURCE_EXHAUSTED", "SESSION_QUOTA")
    assert told.value.metadata == {"limit": "3", "present": "3", "wanted": "1"}


async def test_others_have_their_own(limited: SessionAuthority) -> None:
    await filled(limited, "ada")
    assert await limited.create("grace")


async def test_a_closed_one_makes_room_and_so_does_one_that_has_expired(
    limited: SessionAuthority, clock: SimpleNamespace
) -> None:
    first, *_ = await filled(limited, "ada")
    await limited.close(first)
    await limited.create("ada")
    clock.now += 3601
    assert await limited.create("ada")


async def test_where_nobody_is_asked_who_calls_all_are_one(limited: SessionAuthority) -> None:
    await filled(limited, "")
    with pytest.raises(SessionQuota, match="all callers, since nobody is asked who calls, have 3 of 3 open sessions"):
        await limited.create()


async def test_two_replicas_do_not_exceed_it_together(
    limited: SessionAuthority, database, clock: SimpleNamespace
) -> None:
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    store = SessionStore(open_engine(database, schema="session"), clock=at)
    other = SessionAuthority(store, SessionSettings(quota_sessions=LIMIT))
    await other.start()
    calls = [service.create("ada") for _ in range(20) for service in (limited, other)]
    made = await asyncio.gather(*calls, return_exceptions=True)
    await other.stop()
    refused = [each for each in made if isinstance(each, SessionQuota)]
    assert (len(made) - len(refused), len(refused)) == (LIMIT, 40 - LIMIT)
