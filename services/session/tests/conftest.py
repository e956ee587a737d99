from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Float, bindparam
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.sql import open_engine
from swath.storage.workspace import Workspace
from swath_session import SessionService, SessionSettings, SessionStore, WorkspaceService
from swath_session.store import SCHEMA


@pytest.fixture
def clock() -> SimpleNamespace:
    """The present, as the test has it: `now`, Unix time in seconds."""
    return SimpleNamespace(now=1_000_000.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace over shipped configs with one pipeline."""
    (tmp_path / "shipped" / "pipeline").mkdir(parents=True)
    (tmp_path / "shipped" / "pipeline" / "rx.yaml").write_text("shipped")
    (tmp_path / "allowed").mkdir()
    return Workspace(tmp_path / "root", tmp_path / "shipped", [tmp_path / "allowed"])


@pytest.fixture
async def engine(database: Path | str) -> AsyncEngine:
    """The session service's database, of each kind."""
    engine = open_engine(database, schema="session")
    await SCHEMA.migrate(engine)
    return engine


@pytest.fixture
async def sessions(engine: AsyncEngine, workspace: Workspace, clock: SimpleNamespace) -> AsyncIterator[SessionService]:
    """Sessions that live for an hour by the test's clock."""
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    service = SessionService(SessionStore(engine, clock=at), workspace, SessionSettings())
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def files(workspace: Workspace) -> AsyncIterator[WorkspaceService]:
    service = WorkspaceService(workspace, SessionSettings(upload_max_bytes=2**30))
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def little_room() -> Iterator[int]:
    """Files cannot grow beyond this many bytes while the test runs, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield 1 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
