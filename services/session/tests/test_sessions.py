"""Sessions: small durable rows with guarded writes, which expire when nobody uses them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swath.errors import PipelineMissing, RevisionConflict, SessionNotFound
from swath.sessions.model import Profiling, Session, Sessions
from swath.storage.sql.engine import open_engine
from swath.storage.workspace.folder import Workspace
from swath_session import SessionAuthority, SessionService, SessionSettings, SessionStore

HOUR = 3600


def test_it_is_what_the_others_ask_for(sessions: SessionAuthority) -> None:
    _: Sessions = sessions


async def test_a_new_session_is_empty(sessions: SessionAuthority) -> None:
    session = await sessions.create("ada")
    assert session == Session(
        id=session.id,
        owner="ada",
        revision=1,
        search_paths=(),
        pipeline_digest=None,
        weights_digest=None,
        run_config_digest=None,
        plugins=(),
        created_at=1_000_000,
        last_used_at=1_000_000,
    )
    assert await sessions.get(session.id) == session


@pytest.mark.parametrize("session_id", ["", "unknown", "x" * 10_000, "'; DROP TABLE sessions; --", "a\0b"])
async def test_an_unknown_session(sessions: SessionAuthority, session_id: str) -> None:
    for call in (sessions.get(session_id), sessions.update(session_id, 1), sessions.close(session_id)):
        with pytest.raises(SessionNotFound, match=r"Session .* not found") as raised:
            await call
        assert len(raised.value.message) < 200


class TestWrites:
    async def test_each_write_is_a_new_revision(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()
        changes: dict[str, Any] = {
            "pipeline_digest": "sha256:p",
            "weights_digest": "sha256:w",
            "run_config_digest": "sha256:r",
            "plugins": ("{}",),
            "profiling": Profiling(enabled=True, generation=3),
            "active_run": "run-1",
        }
        written = await sessions.update(session.id, 1, **changes)
        assert written.revision == 2
        assert {name: getattr(written, name) for name in changes} == changes
        assert await sessions.get(session.id) == written

    async def test_of_two_who_write_the_same_revision_one_wins(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()
        await sessions.update(session.id, 1, pipeline_digest="first")
        with pytest.raises(RevisionConflict):
            await sessions.update(session.id, 1, pipeline_digest="second")
        assert (await sessions.get(session.id)).pipeline_digest == "first"

    async def test_of_an_unknown_session(self, sessions: SessionAuthority) -> None:
        with pytest.raises(SessionNotFound):
            await sessions.update("unknown", 1, pipeline_digest="x")

    async def test_of_what_is_not_to_be_changed(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()
        with pytest.raises(TypeError, match="owner"):
            await sessions.update(session.id, 1, owner="eve")

    async def test_change_tries_again_until_nobody_came_between(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()

        def add(number: int) -> Any:
            return sessions.change(session.id, lambda seen: {"plugins": (*seen.plugins, str(number))})

        await asyncio.gather(*(add(number) for number in range(20)))
        assert sorted((await sessions.get(session.id)).plugins, key=int) == [str(number) for number in range(20)]

    async def test_change_may_refuse_or_leave_all_as_it_is(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()

        def refuse(seen: Session) -> dict[str, Any]:
            raise PipelineMissing("no pipeline")

        with pytest.raises(PipelineMissing):
            await sessions.change(session.id, refuse)
        assert (await sessions.change(session.id, lambda seen: {})).revision == 1


class TestClosing:
    async def test_a_closed_session_is_gone(self, sessions: SessionAuthority) -> None:
        session = await sessions.create()
        assert await sessions.close(session.id) == session
        for again in (sessions.get, sessions.close):
            with pytest.raises(SessionNotFound):
                await again(session.id)

    async def test_listeners_are_awaited_once_the_row_is_gone(self, sessions: SessionAuthority) -> None:
        seen: list[str] = []

        async def listen(session_id: str) -> None:
            with pytest.raises(SessionNotFound):
                await sessions.get(session_id)
            seen.append(session_id)

        sessions.on_close(listen, list)
        session = await sessions.create()
        await sessions.close(session.id)
        assert seen == [session.id]

    async def test_a_failing_listener_harms_neither_the_close_nor_its_neighbours(
        self, sessions: SessionAuthority
    ) -> None:
        seen: list[str] = []

        async def fail(session_id: str) -> None:
            raise RuntimeError("boom")

        async def listen(session_id: str) -> None:
            seen.append(session_id)

        sessions.on_close(fail, list)
        sessions.on_close(listen, list)
        session = await sessions.create()
        await sessions.close(session.id)
        assert seen == [session.id]

    async def test_a_caller_who_leaves_does_not_stop_the_listeners(self, sessions: SessionAuthority) -> None:
        removed, freed = asyncio.Event(), asyncio.Event()

        async def listen(session_id: str) -> None:
            removed.set()
            await asyncio.sleep(0)
            freed.set()

        sessions.on_close(listen, list)
        closing = asyncio.create_task(sessions.close((await sessions.create()).id))
        await removed.wait()
        closing.cancel()
        await freed.wait()
        assert closing.cancelling()


class TestExpiry:
    async def test_after_an_hour_without_use_a_session_is_not_found_even_before_the_sweep(
        self, sessions: SessionAuthority, clock: SimpleNamespace
    ) -> None:
        session = await sessions.create()
        clock.now += HOUR
        for call in (sessions.get(session.id), sessions.update(session.id, 1), sessions.close(session.id)):
            with pytest.raises(SessionNotFound):
                await call

    async def test_use_keeps_it_and_is_written_at_most_once_a_minute(
        self, sessions: SessionAuthority, clock: SimpleNamespace
    ) -> None:
        session = await sessions.create()
        used = []
        for _ in range(5):
            clock.now += 25
            await sessions.get(session.id)
            used.append((await sessions.get(session.id)).last_used_at - session.created_at)
        assert used == [0, 0, 75, 75, 75]
        clock.now += HOUR - 51
        assert (await sessions.get(session.id)).revision == 1

    async def test_never_while_a_run_is_active(self, sessions: SessionAuthority, clock: SimpleNamespace) -> None:
        session = await sessions.create()
        await sessions.update(session.id, 1, active_run="run-1")
        clock.now += 100 * HOUR
        assert await sessions.sweep() == 0
        assert (await sessions.get(session.id)).active_run == "run-1"

    async def test_the_hour_begins_anew_when_the_run_ends(
        self, sessions: SessionAuthority, clock: SimpleNamespace
    ) -> None:
        session = await sessions.create()
        await sessions.update(session.id, 1, active_run="run-1")
        clock.now += 100 * HOUR
        await sessions.update(session.id, 2, active_run=None)
        clock.now += HOUR - 1
        assert await sessions.sweep() == 0
        clock.now += 1
        assert await sessions.sweep() == 1

    async def test_the_sweep_removes_what_has_expired_and_tells_the_listeners(
        self, sessions: SessionAuthority, clock: SimpleNamespace
    ) -> None:
        told: list[str] = []

        async def listen(session_id: str) -> None:
            told.append(session_id)

        sessions.on_close(listen, list)
        old = [await sessions.create() for _ in range(3)]
        clock.now += HOUR / 2
        young = await sessions.create()
        clock.now += HOUR / 2
        assert await sessions.sweep() == 3
        assert sorted(told) == sorted(session.id for session in old)
        assert await sessions.get(young.id)

    async def test_a_full_disk_keeps_nobody_from_reading(
        self, sessions: SessionAuthority, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def full(*arguments: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(SessionStore, "touch", full)
        session = await sessions.create()
        clock.now += 100
        assert await sessions.get(session.id) == session


class TestSearchPaths:
    @pytest.fixture
    def service(self, sessions: SessionAuthority, workspace: Workspace) -> SessionService:
        return SessionService(sessions, workspace)

    @pytest.fixture
    def folders(self, workspace: Workspace) -> list[str]:
        made = [workspace.root / "a", workspace.root / "b", workspace.allow_roots[0] / "c"]
        for folder in made:
            folder.mkdir()
        return [str(folder) for folder in made]

    async def test_append_is_the_default_and_begins_with_the_configs_root(
        self, service: SessionService, workspace: Workspace, folders: list[str]
    ) -> None:
        session = await service.create()
        current, rejected = await service.set_search_paths(session.id, [folders[2], folders[0]])
        assert current == (str(workspace.configs), folders[2], folders[0])
        assert rejected == ()

    async def test_order_is_kept_and_duplicates_are_dropped(self, service: SessionService, folders: list[str]) -> None:
        session = await service.create()
        await service.set_search_paths(session.id, [folders[1], "a", folders[1]], append=False)
        current, _ = await service.set_search_paths(session.id, ["a", folders[2], "b"], append=True)
        assert current == (folders[1], folders[0], folders[2])

    async def test_what_is_no_folder_or_outside_is_listed_as_it_was_given(
        self, service: SessionService, folders: list[str]
    ) -> None:
        session = await service.create()
        bad = ["missing", "/etc", "../x", "", "a\0b", "n" * 300, "/nowhere/"]
        current, rejected = await service.set_search_paths(session.id, [*bad, folders[0]], append=False)
        assert current == (folders[0],)
        assert rejected == tuple(bad)

    async def test_replacing_by_nothing_valid_resets_to_the_configs_root(
        self,
        service: SessionService,
        sessions: SessionAuthority,
        workspace: Workspace,
        folders: list[str],
    ) -> None:
        session = await service.create()
        await service.set_search_paths(session.id, folders, append=False)
        current, rejected = await service.set_search_paths(session.id, ["missing"], append=False)
        assert current == (str(workspace.configs),)
        assert rejected == ("missing",)
        assert (await sessions.get(session.id)).search_paths == ()

    async def test_names_of_the_configs_root_all_mean_the_same(
        self, service: SessionService, workspace: Workspace
    ) -> None:
        session = await service.create()
        current, _ = await service.set_search_paths(session.id, ["configs", ".", str(workspace.configs)])
        assert current == (str(workspace.configs),)

    async def test_of_an_unknown_session(self, service: SessionService) -> None:
        with pytest.raises(SessionNotFound):
            await service.set_search_paths("unknown", [])


CREATE_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from swath.storage.sql.engine import open_engine
from swath_session import SessionAuthority, SessionSettings, SessionStore

async def main():
    state = Path(sys.argv[1])
    sessions = SessionAuthority(SessionStore(open_engine(state / "session.db")), SessionSettings())
    await sessions.start()
    session = await sessions.create()
    await sessions.update(session.id, 1, pipeline_digest="sha256:p")
    print(session.id, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

ADD_PLUGINS = """
import asyncio, sys
from pathlib import Path
from swath.storage.sql.engine import open_engine
from swath_session import SessionAuthority, SessionSettings, SessionStore

async def main():
    state, session_id, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    sessions = SessionAuthority(SessionStore(open_engine(state / "session.db")), SessionSettings())
    await sessions.start()
    for number in range(20):
        await sessions.change(session_id, lambda seen: {"plugins": (*seen.plugins, f"{name}-{number}")})
    await sessions.stop()

asyncio.run(main())
"""


async def fresh(tmp_path: Path) -> SessionAuthority:
    service = SessionAuthority(SessionStore(open_engine(tmp_path / "session.db")), SessionSettings())
    await service.start()
    return service


async def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CREATE_AND_WAIT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    session_id = (await child.stdout.readline()).decode().strip()
    child.kill()
    await child.wait()
    sessions = await fresh(tmp_path)
    assert (await sessions.get(session_id)).pipeline_digest == "sha256:p"
    await sessions.stop()


async def test_two_processes_on_one_file_lose_no_write(tmp_path: Path) -> None:
    sessions = await fresh(tmp_path)
    session = await sessions.create()
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", ADD_PLUGINS, str(tmp_path), session.id, name)
        for name in "ab"
    ]
    assert [await child.wait() for child in children] == [0, 0]
    after = await sessions.get(session.id)
    assert sorted(after.plugins) == sorted(f"{name}-{number}" for name in "ab" for number in range(20))
    assert after.revision == 41
    await sessions.stop()


async def test_ten_thousand_open_sessions_are_light(sessions: SessionAuthority) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    await sessions.create()
    before = resident()
    made = await asyncio.gather(*(sessions.create() for _ in range(10_000)))
    assert len({session.id for session in made}) == 10_000
    del made
    assert resident() - before < 100e6
