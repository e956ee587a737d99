"""How often SetTrainRunConfig reads its session."""

from __future__ import annotations

from typing import Any

import pytest

from swath.documents import canonical

from .conftest import PIPELINE, World, config


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts reads and writes of the authority that the world has; a test may have somebody write in between."""

    def start(world: World) -> dict[str, int]:
        authority, counted = world.sessions, {"reads": 0, "writes": 0}
        get, update = authority.get, authority.update

        async def counted_get(session_id: str) -> Any:
            counted["reads"] += 1
            return await get(session_id)

        async def counted_update(session_id: str, revision: int, **changes: Any) -> Any:
            counted["writes"] += 1
            return await update(session_id, revision, **changes)

        monkeypatch.setattr(authority, "get", counted_get)
        monkeypatch.setattr(authority, "update", counted_update)
        return counted

    return start


async def test_the_session_is_read_once(world: World, count: Any) -> None:
    session = await world.sessions.create()
    counted = count(world)
    assert await world.service.set_run_config(session.id, canonical(config(pipeline=PIPELINE)))
    assert counted == {"reads": 1, "writes": 1}


async def test_a_write_in_between_costs_one_more_and_is_kept(
    world: World, count: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.session()
    put = world.artifacts.put

    async def put_while_somebody_writes(data: bytes) -> str:
        monkeypatch.setattr(world.artifacts, "put", put)
        await world.sessions.update(session.id, 2, search_paths=("/somebody",))
        return await put(data)

    monkeypatch.setattr(world.artifacts, "put", put_while_somebody_writes)
    counted = count(world)
    await world.service.set_run_config(session.id, canonical(config()))
    # One write is the other one's.
    assert counted == {"reads": 2, "writes": 3}
    now = await world.sessions.get(session.id)
    assert (now.search_paths, now.run_config_digest is None) == (("/somebody",), False)
