"""The pipeline service over a real session service, artifact store and workspace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.sql.engine import open_engine
from swath_pipeline import PipelineService
from swath_session import SessionAuthority, SessionSettings, SessionStore

PIPELINE = {
    "nodes": [
        {"name": "rx", "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": 3}}
    ],
    "connections": [],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace over shipped configs with one pipeline."""
    (tmp_path / "shipped" / "pipeline").mkdir(parents=True)
    (tmp_path / "shipped" / "pipeline" / "rx.yaml").write_text(
        "metadata: {name: shipped, tags: [Anomaly]}\nnodes: []\nconnections: []\n"
    )
    return Workspace(tmp_path / "root", tmp_path / "shipped")


@pytest.fixture
def own(workspace: Workspace) -> Path:
    """The workspace's own folder of pipelines."""
    folder = workspace.root / "configs" / "pipeline"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[SessionAuthority]:
    store = SessionStore(open_engine(tmp_path / "session.db"))
    authority = SessionAuthority(store, SessionSettings())
    await authority.start()
    yield authority
    await authority.stop()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(FolderObjects(tmp_path / "artifacts"))


@pytest.fixture
def service(sessions: SessionAuthority, store: ArtifactStore, workspace: Workspace) -> PipelineService:
    return PipelineService(sessions, store, workspace)


@pytest.fixture
async def session(sessions: SessionAuthority) -> str:
    """Id of a session."""
    return (await sessions.create()).id


@pytest.fixture
async def loaded(service: PipelineService, session: str) -> str:
    """A session with a pipeline."""
    await service.load_pipeline(session, json.dumps(PIPELINE).encode())
    return session
