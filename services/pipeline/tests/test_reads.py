"""How often calls read their session: once, and once more for each write that came between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from swath.errors import Precondition
from swath.sessions.model import Session
from swath.storage.sql.engine import open_engine
from swath_pipeline import PipelineService
from swath_session import SessionAuthority, SessionSettings, SessionStore

from .conftest import PIPELINE

MANIFEST = json.dumps(
    {"name": "mine", "path": "/opt/mine", "capabilities": [{"class_name": "mine.nodes.Node"}]}
).encode()
RUN = {"name": "run", "data": {"data_module": "scene"}, "pipeline": PIPELINE}


class CountingAuthority(SessionAuthority):
    """The real one, which counts and lets others write in between."""

    reads = 0
    writes = 0
    before_write: Callable[[Session], Any] | None = None

    async def get(self, session_id: str) -> Session:
        self.reads += 1
        return await super().get(session_id)

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        self.writes += 1
        if self.before_write is not None:
            meanwhile, self.before_write = self.before_write, None
            await super().update(session_id, revision, **meanwhile(await super().get(session_id)))
        return await super().update(session_id, revision, **changes)


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[SessionAuthority]:
    authority = CountingAuthority(SessionStore(open_engine(tmp_path / "session.db")), SessionSettings())
    await authority.start()
    yield authority
    await authority.stop()


@pytest.fixture
async def calls(service: PipelineService, loaded: str, workspace: Any) -> dict[str, Callable[[], Any]]:
    """Calls that change a session which has a pipeline."""
    (workspace.root / "run.yaml").write_text(json.dumps(RUN))
    await service.save_pipeline(loaded, "saved.yaml", {})
    weights = (workspace.root / "configs" / "pipeline" / "saved.pt").read_bytes()
    return {
        "LoadPipeline": lambda: service.load_pipeline(loaded, json.dumps(PIPELINE).encode()),
        "LoadPipelineWeights": lambda: service.load_weights(loaded, path=None, data=weights, strict=True),
        "LoadPlugin": lambda: service.register_plugin(loaded, MANIFEST),
        "RestoreTrainRun": lambda: service.restore_run("run.yaml", None, strict=True, session_id=loaded),
    }


NAMES = ["LoadPipeline", "LoadPipelineWeights", "LoadPlugin", "RestoreTrainRun"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_call_reads_its_session_once(calls: Any, sessions: Any, name: str) -> None:
    sessions.reads = sessions.writes = 0
    await calls[name]()
    assert (sessions.reads, sessions.writes) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_write_in_between_costs_one_more_and_is_kept(calls: Any, sessions: Any, loaded: str, name: str) -> None:
    sessions.reads = sessions.writes = 0
    sessions.before_write = lambda session: {"search_paths": ("/somebody",)}
    await calls[name]()
    assert (sessions.reads, sessions.writes) == (2, 2)
    assert (await sessions.get(loaded)).search_paths == ("/somebody",)


async def test_weights_are_not_for_a_pipeline_that_came_in_between(calls: Any, sessions: Any) -> None:
    sessions.before_write = lambda session: {"pipeline_digest": "sha256:another"}
    with pytest.raises(Precondition, match="got another pipeline"):
        await calls["LoadPipelineWeights"]()
