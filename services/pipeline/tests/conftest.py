"""The pipeline service over a real session service, artifact store and workspace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.sessions.ownership import OwnedSessions
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.sql.engine import open_engine
from swath_pipeline import ModelService, ModelStore, PipelineService, PipelineSettings
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.models.tables import SCHEMA
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


@pytest.fixture
def fitted() -> Callable[[int], bytes]:
    """Makes weights of `PIPELINE` with its statistics; other seeds give other weights."""

    def make(seed: int = 0) -> bytes:
        import torch

        from swath.documents import parse
        from swath.engine.graph.pipeline import Pipeline
        from swath.engine.stored import dump_weights

        pipeline = Pipeline.from_document(parse("pipeline", PIPELINE))
        node: Any = pipeline.nodes["rx"]
        node.begin_fit()
        node.fit_batch({"data": torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(seed))})
        node.end_fit()
        return dump_weights(pipeline)

    return make


@pytest.fixture
async def models_engine(database: Path | str) -> AsyncEngine:
    """The pipeline service's database, of each kind."""
    engine = open_engine(database, schema=SCHEMA.name)
    await SCHEMA.migrate(engine)
    return engine


@pytest.fixture
async def model_store(models_engine: AsyncEngine) -> AsyncIterator[ModelStore]:
    store = ModelStore(models_engine)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def models(model_store: ModelStore, sessions: SessionAuthority, store: ArtifactStore) -> ModelService:
    """Published models, of callers who are asked who they are where a test says who."""
    return ModelService(model_store, OwnedSessions(sessions), PipelineArtifacts(store), PipelineSettings())


@pytest.fixture
def holding(
    service: PipelineService, sessions: SessionAuthority, fitted: Callable[[int], bytes]
) -> Callable[..., Awaitable[str]]:
    """Makes a session of somebody's that holds the pipeline, fitted by a seed."""

    async def make(seed: int = 0, owner: str = "") -> str:
        session_id = (await sessions.create(owner)).id
        await service.load_pipeline(session_id, json.dumps(PIPELINE).encode())
        await service.load_weights(session_id, path=None, data=fitted(seed), strict=True)
        return session_id

    return make
