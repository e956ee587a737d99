"""Sessions and runs belong to who made them."""

from dataclasses import replace
from typing import Any

import pytest

from swath.errors import SessionNotFound
from swath.rpc.caller import Caller, acting_as
from swath.sessions.model import Session
from swath.sessions.ownership import OwnedSessions, everyones
from swath.sessions.preconditions import compare_and_set, no_session

ALICE, BOB = Caller("alice", "token"), Caller("bob", "jwt")


class _Sessions:
    """Sessions in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, Session] = {}

    async def create(self, owner: str = "") -> Session:
        session = Session(f"s{len(self.rows)}", owner, 1, (), None, None, None, ())
        self.rows[session.id] = session
        return session

    async def get(self, session_id: str) -> Session:
        if session_id not in self.rows:
            raise no_session(session_id)
        return self.rows[session_id]

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        session = await self.get(session_id)
        self.rows[session_id] = replace(session, revision=revision + 1, **changes)
        return self.rows[session_id]

    async def change(self, session: Session | str, decide) -> Session:
        return await compare_and_set(self, session, decide)

    async def close(self, session_id: str) -> Session:
        session = await self.get(session_id)
        return self.rows.pop(session.id)

    def on_close(self, listener, in_use) -> None: ...


@pytest.fixture
def sessions() -> OwnedSessions:
    return OwnedSessions(_Sessions())


CALLS = {
    "get": lambda sessions, id: sessions.get(id),
    "update": lambda sessions, id: sessions.update(id, 1, pipeline_digest="d"),
    "change": lambda sessions, id: sessions.change(id, lambda session: {"pipeline_digest": "d"}),
    "close": lambda sessions, id: sessions.close(id),
    "require": lambda sessions, id: sessions.require(id),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_session_of_another_is_answered_as_one_that_never_was(sessions: OwnedSessions, call: str):
    with acting_as(ALICE):
        session = await sessions.create()
    with acting_as(BOB):
        with pytest.raises(SessionNotFound) as others:
            await CALLS[call](sessions, session.id)
        with pytest.raises(SessionNotFound) as nobodys:
            await CALLS[call](sessions, "s9")
    assert others.value.message.replace(session.id, "s9") == nobodys.value.message
    assert await sessions.everyones.get(session.id) == session


@pytest.mark.parametrize("call", CALLS)
async def test_a_session_is_its_owners_to_use(sessions: OwnedSessions, call: str):
    with acting_as(ALICE):
        session = await sessions.create("whatever is asked for")
        assert session.owner == "alice"
        await CALLS[call](sessions, session.id)


@pytest.mark.parametrize("call", CALLS)
async def test_work_that_belongs_to_no_call_finds_all_sessions(sessions: OwnedSessions, call: str):
    with acting_as(ALICE):
        session = await sessions.create()
    await CALLS[call](sessions, session.id)


async def test_sessions_from_before_anybody_was_asked_are_nobodys(sessions: OwnedSessions):
    session = await sessions.create()
    with acting_as(ALICE), pytest.raises(SessionNotFound):
        await sessions.get(session.id)


async def test_everyones_sessions_are_found_whoever_calls(sessions: OwnedSessions):
    with acting_as(ALICE):
        session = await sessions.create()
    with acting_as(BOB):
        assert await everyones(sessions).get(session.id) == session
    assert everyones(sessions.everyones) is sessions.everyones
