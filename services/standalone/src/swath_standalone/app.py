"""All services in one process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from swath.api import CUVIS, NODES, PUBLIC, RUNS, WORKSPACE
from swath.errors import Unavailable
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.logs import Telemetry
from swath.runtime.server import Server
from swath.sessions.ownership import OwnedSessions
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.sql.engine import open_engine
from swath_config import ConfigService, ConfigServicer, ConfigSettings
from swath_inference import InferenceService, InferenceServicer, InferenceSettings
from swath_pipeline import compose as compose_pipeline
from swath_session import (
    Collectors,
    SessionService,
    SessionServicer,
    SessionSettings,
    SessionStore,
    WorkspaceService,
    WorkspaceServicer,
    open_usage,
)
from swath_standalone.settings import StandaloneSettings
from swath_training import Launcher, Training

PARTS = ("session", "config", "pipeline", "training", "inference")

_log = structlog.get_logger("swath.standalone")


class Standalone:
    """The suite in one process: the same servicers as apart, on SQLite and a local folder.

    Args:
        settings: Where to listen and where to keep things.
        launcher: Starts training workers; prepared before any gRPC object exists.
    """

    def __init__(self, settings: StandaloneSettings, launcher: Launcher) -> None:
        self._settings = settings
        state = settings.state
        self.health = HealthBoard(PARTS)
        artifacts = ArtifactStore(FolderObjects(state / "artifacts"))
        workspace = Workspace(state / "workspace", settings.configs, settings.allow_root)
        session_settings = SessionSettings()
        database = open_engine(state / "session.db")
        store = SessionStore(database)
        self._sessions = SessionService(store, workspace, session_settings)
        owned = OwnedSessions(self._sessions)
        self._files = WorkspaceService(workspace, session_settings, open_usage(database, session_settings))
        self._config = ConfigService(workspace, ConfigSettings(), Telemetry.of(settings))
        self._inference = InferenceService(InferenceSettings(), owned, artifacts, workspace)
        # Before training: that takes a while to stop a run, and memory is to be free at once.
        self._sessions.on_close(self._inference.forget, self._inference.held)
        self._training = Training(state / "training", owned, artifacts, workspace, launcher=launcher)
        self._collectors = Collectors(
            artifacts, self._training.service.artifacts, store.digests, database, session_settings
        )
        cuvis = {
            "session": SessionServicer(self._sessions),
            "config": ConfigServicer(self._config, owned),
            "pipeline": compose_pipeline(owned, artifacts, workspace),
            "training": self._training.servicer,
            "inference": InferenceServicer(self._inference),
        }
        handlers = [slice_handler(CUVIS, part, cuvis[part]) for part in PARTS]
        handlers.append(slice_handler(WORKSPACE, "session", WorkspaceServicer(self._files)))
        handlers.append(slice_handler(RUNS, "training", self._training.runs))
        handlers.append(slice_handler(NODES, "pipeline", cuvis["pipeline"]))
        self._server = Server(settings, handlers, PUBLIC, self.health)
        self._warming: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Port that the server listens on."""
        return self._server.port

    async def start(self) -> None:
        """Open the stores, listen, and go on getting ready behind that.

        Raises:
            Unavailable: The address is taken.
        """
        await self._sessions.start()
        await self._files.start()
        await self._training.start()
        await self._server.start()
        await self.health.set_ready("session")
        self._warming = asyncio.create_task(self._warm_up())
        self._collectors.start()

    async def _warm_up(self) -> None:
        """Bring the parts up that take a while. torch takes seconds to import; the server listens meanwhile."""
        for part, warm_up in (
            ("config", self._config.warm_up),
            ("inference", self._inference.warm_up),
            ("pipeline", _import_engine),
            ("training", self._training.warm_up),
        ):
            try:
                await warm_up()
            except Exception:
                _log.exception("a part of the server did not come up; its health stays NOT_SERVING", service=part)
            else:
                await self.health.set_ready(part)

    async def stop(self) -> None:
        """Drain: health off, lag, no new calls, calls in flight end, runs checkpoint, the device is freed."""
        if self._warming is not None:
            self._warming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._warming
        await self._collectors.stop()
        await self._server.drain(self._training.drain)
        await self._training.close()
        self._inference.close()
        await self._config.close()
        await self._files.stop()
        await self._sessions.stop()


async def _import_engine() -> None:
    # All that the pipeline service needs; nothing is left to import where inference has come up.
    await asyncio.to_thread(importlib.import_module, "swath.engine.graph.pipeline")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold a state folder for this process alone; the lock goes with the process, however it ends.

    Raises:
        Unavailable: Another server holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another server uses the state folder {state}: stop it, or choose another --state"
            ) from error
        yield
    finally:
        os.close(handle)
