"""How often a session is read when it is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from swath.errors import RevisionConflict, RunActive, SessionNotFound
from swath.sessions.model import Session
from swath.sessions.preconditions import compare_and_set, no_session, require_idle


class Authority:
    """One session, and how often it was read and written; others may write between any two calls."""

    def __init__(self) -> None:
        self.row: Session | None = Session("s", "", 1, (), None, None, None, ())
        self.reads = 0
        self.writes = 0

    async def get(self, session_id: str) -> Session:
        self.reads += 1
        if self.row is None:
            raise no_session(session_id)
        return self.row

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        self.writes += 1
        if self.row is None:
            raise no_session(session_id)
        if self.row.revision != revision:
            raise RevisionConflict("somebody wrote first")
        self.row = replace(self.row, revision=revision + 1, **changes)
        return self.row

    def written_by_another(self, **changes: Any) -> None:
        assert self.row is not None
        self.row = replace(self.row, revision=self.row.revision + 1, **changes)


@pytest.fixture
def authority() -> Any:
    return Authority()


def add(plugin: str) -> Callable[[Session], dict[str, Any]]:
    return lambda session: {"plugins": (*session.plugins, plugin)}


async def test_the_row_in_hand_is_not_read_again(authority: Any) -> None:
    row = authority.row
    changed = await compare_and_set(authority, row, add("a"))
    assert (changed.plugins, changed.revision) == (("a",), 2)
    assert (authority.reads, authority.writes) == (0, 1)


async def test_an_id_is_read_once(authority: Any) -> None:
    assert (await compare_and_set(authority, "s", add("a"))).plugins == ("a",)
    assert (authority.reads, authority.writes) == (1, 1)


async def test_after_a_conflict_it_is_read_and_decided_anew(authority: Any) -> None:
    row = authority.row
    authority.written_by_another(plugins=("first",))
    assert (await compare_and_set(authority, row, add("a"))).plugins == ("first", "a")
    assert (authority.reads, authority.writes) == (1, 2)


async def test_what_the_row_in_hand_forbids_is_refused_without_asking(authority: Any) -> None:
    def decide(session: Session) -> dict[str, Any]:
        require_idle(session, "LoadPipeline")
        return {"pipeline_digest": "p"}

    with pytest.raises(RunActive):
        await compare_and_set(authority, replace(authority.row, active_run="run"), decide)
    assert (authority.reads, authority.writes) == (0, 0)


async def test_what_began_meanwhile_is_seen(authority: Any) -> None:
    row = authority.row
    authority.written_by_another(active_run="run")

    def decide(session: Session) -> dict[str, Any]:
        require_idle(session, "LoadPipeline")
        return {"pipeline_digest": "p"}

    with pytest.raises(RunActive):
        await compare_and_set(authority, row, decide)
    assert authority.row.pipeline_digest is None


async def test_a_session_that_was_closed_meanwhile_is_not_found(authority: Any) -> None:
    row, authority.row = authority.row, None
    with pytest.raises(SessionNotFound):
        await compare_and_set(authority, row, add("a"))
    assert (authority.reads, authority.writes) == (0, 1)


async def test_where_nothing_is_to_be_changed_nothing_is_written(authority: Any) -> None:
    assert await compare_and_set(authority, authority.row, lambda session: {}) == authority.row
    assert (authority.reads, authority.writes) == (0, 0)
