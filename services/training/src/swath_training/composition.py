"""The training service put together for a process that runs its workers on the same machine."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from swath.errors import StorageDenied
from swath.service.ports import Sessions
from swath.storage import ArtifactStore, Workspace
from swath.storage.notices import Notices
from swath.storage.sql import open_engine
from swath_training.adapters.events import note
from swath_training.adapters.link import WorkerLinkServicer, WorkerServer
from swath_training.launcher import ForkLauncher, Launcher
from swath_training.pipelines import EnginePipelines, Pipelines
from swath_training.service import TrainingService
from swath_training.servicer import TrainingServicer
from swath_training.settings import TrainingSettings
from swath_training.store import RunStore
from swath_training.tables import SCHEMA

_LONGEST_SOCKET = 100


class Training:
    """The training service with its database, its workers and their links.

    Call `prepare` before any gRPC object exists in the process, then make one, `start` it, and at the end `drain` and
    `close` it.

    Args:
        state: Folder for the service's own files.
        sessions: The authority over sessions.
        artifacts: The artifact store.
        workspace: What paths mean.
        pipelines: Builds pipelines that come with a configuration; the engine in a thread if not given.
        launcher: Starts workers; the one that `prepare` returns.
        settings: Times and limits.
        database: URL of the database that replicas share; a file in `state` if not given.
        replica: Name of this one among them, the same after a restart where it can be.

    Attributes:
        service: Decides.
        servicer: Answers the training slice of cuvis_ai.v1.CuvisAIService.
    """

    def __init__(
        self,
        state: Path,
        sessions: Sessions,
        artifacts: ArtifactStore,
        workspace: Workspace,
        *,
        pipelines: Pipelines | None = None,
        launcher: Launcher | None = None,
        settings: TrainingSettings | None = None,
        database: str = "",
        replica: str = "alone",
    ) -> None:
        settings = settings or TrainingSettings()
        engine = open_engine(database or state / "training.db", schema=SCHEMA.name)
        self._store = RunStore(engine, replica, settings.lease_s)
        self._launcher = launcher or prepare(state)
        self.service = TrainingService(
            settings,
            self._store,
            sessions,
            artifacts,
            workspace,
            pipelines or EnginePipelines(artifacts),
            self._launcher,
            note,
            Notices(engine),
        )
        self.servicer = TrainingServicer(self.service)
        self._link = WorkerLinkServicer(settings, self.service.supervisor, artifacts.spec(), workspace.spec())
        self._address = f"unix:{_socket(state)}"
        self._server: WorkerServer | None = None

    async def start(self) -> None:
        """Listen for workers and take up the runs that an earlier process left."""
        await self._store.prepare()
        self.service.supervisor.address = self._address
        self._server = WorkerServer(self._address, self._link)
        # Runs are known before a worker that was left alone can dial again.
        await self.service.start()
        await self._server.start()

    async def warm_up(self) -> None:
        """Wait until workers start without delay."""
        await self._launcher.warm_up()

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then send their streams away."""
        await self.service.drain()

    async def close(self) -> None:
        """Let go of everything."""
        await self.service.close()
        if self._server is not None:
            await self._server.stop()


def prepare(state: Path) -> Launcher:
    """Start what starts workers. Called before any gRPC object exists in the process.

    Args:
        state: Folder for the service's own files; what workers write to standard error goes to `logs` in it.
    """
    launcher = ForkLauncher(state / "logs")
    launcher.prepare()
    return launcher


def _socket(state: Path) -> Path:
    """Return where workers dial: in the state folder, or where paths are short; the same place after each start."""
    state.mkdir(parents=True, exist_ok=True)
    near = state.resolve() / "workers" / "link.sock"
    if len(os.fsencode(near)) < _LONGEST_SOCKET:
        folder = near.parent
    else:
        name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"swath-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StorageDenied(f"the folder {folder} for workers' links must be this user's alone")
    return folder / near.name
