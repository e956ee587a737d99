"""The inference service over a real session service and a real artifact store, on the CPU."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from swath.documents import canonical, parse
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.sql.engine import open_engine
from swath_inference import InferenceService, InferenceSettings
from swath_inference.profiling.service import ProfilingService
from swath_session import SessionAuthority, SessionSettings, SessionStore

BANDS = 4


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(FolderObjects(tmp_path / "artifacts"))


@pytest.fixture
def pipeline(artifacts: ArtifactStore) -> Callable[..., str]:
    """Stores a pipeline and returns its digest: a detector of `bands` channels, whose state is 16 B + 16 B²  bytes."""

    def store(bands: int = BANDS, *, class_name: str = "cuvis_ai.node.anomaly.rx_detector.RXGlobal") -> str:
        hparams = {"num_channels": bands} if class_name.endswith("RXGlobal") else {"use_running_stats": False}
        document = {"nodes": [{"name": "node", "class_name": class_name, "hparams": hparams}], "connections": []}
        return artifacts.put_sync(canonical(parse("pipeline", document)))

    return store


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator[SessionAuthority]:
    service = SessionAuthority(SessionStore(open_engine(tmp_path / "session.db")), SessionSettings())
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    configs = tmp_path / "shipped"
    configs.mkdir()
    return Workspace(tmp_path / "workspace", configs)


@pytest.fixture
async def service(
    sessions: SessionAuthority, artifacts: ArtifactStore, workspace: Workspace
) -> AsyncIterator[InferenceService]:
    """Warm, and notified when sessions close."""
    service = InferenceService(InferenceSettings(device="cpu"), sessions, artifacts, workspace)
    sessions.on_close(service.forget, service.sessions_in_use)
    await service.warm_up()
    yield service
    service.close()


@pytest.fixture
def profiling(sessions: SessionAuthority, service: InferenceService) -> ProfilingService:
    return ProfilingService(sessions, service.profiler)


@pytest.fixture
def normalizing(sessions: SessionAuthority, pipeline: Callable[..., str]) -> Callable[[], Any]:
    """Makes a session whose pipeline scales `data` [B, H, W, C] to 0..1."""

    async def make() -> str:
        session = await sessions.create()
        digest = pipeline(class_name="cuvis_ai.node.normalization.MinMaxNormalizer")
        await sessions.update(session.id, session.revision, pipeline_digest=digest)
        return session.id

    return make
