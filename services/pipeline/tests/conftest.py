"""The pipeline service over a real session service, artifact store and workspace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swath.storage import ArtifactStore, Workspace
from swath.storage.sql.engine import open_engine
from swath_pipeline.files import Saving
from swath_pipeline.plugins import Plugins
from swath_pipeline.service import Loading
from swath_session import SessionService, SessionSettings, SessionStore

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
async def sessions(tmp_path: Path, workspace: Workspace) -> AsyncIterator[SessionService]:
    store = SessionStore(open_engine(tmp_path / "session.db"))
    service = SessionService(store, workspace, SessionSettings())
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore.folder(tmp_path / "artifacts")


@pytest.fixture
def loading(sessions: SessionService, store: ArtifactStore, workspace: Workspace) -> Loading:
    return Loading(sessions, store, workspace)


@pytest.fixture
def saving(sessions: SessionService, store: ArtifactStore, workspace: Workspace, loading: Loading) -> Saving:
    return Saving(sessions, store, workspace, loading)


@pytest.fixture
def plugins(sessions: SessionService) -> Plugins:
    return Plugins(sessions)


@pytest.fixture
async def session(sessions: SessionService) -> str:
    """Id of a session."""
    return (await sessions.create()).id


@pytest.fixture
async def loaded(loading: Loading, session: str) -> str:
    """A session with a pipeline."""
    await loading.load_pipeline(session, json.dumps(PIPELINE).encode())
    return session
