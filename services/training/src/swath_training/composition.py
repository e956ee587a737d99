"""The training service put together for a process that runs its workers on the same machine."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import partial
from pathlib import Path

from swath.errors import StorageDenied
from swath.runtime.logs import Telemetry
from swath.sessions.model import Sessions
from swath.storage import ArtifactStore, Workspace
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.pipelines import EnginePipelines, Pipelines
from swath_training.api.service import TrainingService
from swath_training.api.servicer import RunServicer, TrainingServicer
from swath_training.api.worker_servicer import WorkerLinkServicer, WorkerServer
from swath_training.launch.fork import ForkLauncher
from swath_training.link.endpoint import GRPC_MESSAGE_BYTES
from swath_training.runs.store import RunStore
from swath_training.runs.tables import SCHEMA
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher
from swath_training.worker.fork_task import PRELOAD, ForkTask

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
        worker_address: Where workers of other machines connect to: this process serves `links` there. A socket of this
            machine's if not given.
        max_message_bytes: Largest message that goes over the link of a worker on this machine, either way.

    Attributes:
        service: Decides.
        servicer: Answers the training slice of cuvis_ai.v1.CuvisAIService.
        runs: Answers swath.training.v1.RunService.
        links: Answers workers.
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
        worker_address: str = "",
        max_message_bytes: int = GRPC_MESSAGE_BYTES,
    ) -> None:
        settings = settings or TrainingSettings()
        codec = RunEventCodec()
        self._worker_address = worker_address or f"unix:{_socket(state)}"
        self._max_message_bytes = max_message_bytes
        engine = open_engine(database or state / "training.db", schema=SCHEMA.name)
        self._store = RunStore(engine, replica, settings.lease_s, settings.log_bytes)
        self._launcher = launcher or prepare(state)
        self.service = TrainingService(
            settings,
            self._store,
            sessions,
            artifacts,
            workspace,
            pipelines or EnginePipelines(artifacts),
            self._launcher,
            codec,
            Notifications(engine),
            self._worker_address,
        )
        self.servicer = TrainingServicer(self.service)
        self.runs = RunServicer(self.service)
        reports = self.service.supervisor.reports
        self.links = WorkerLinkServicer(settings, reports, codec, artifacts.spec(), workspace.spec())
        self._listens = not worker_address
        self._server: WorkerServer | None = None

    async def start(self) -> None:
        """Listen for workers and take up the runs that an earlier process left."""
        await self._store.prepare()
        if self._listens:
            self._server = WorkerServer(self._worker_address, self.links, self._max_message_bytes)
        # Runs are known before a worker that was left alone can dial again.
        await self.service.start()
        if self._server is not None:
            await self._server.start()

    async def warm_up(self) -> None:
        """Wait until workers start without delay."""
        await self._launcher.warm_up()

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then send their streams away."""
        await self.service.drain()

    async def close(self) -> None:
        """Let go of everything."""
        # A worker that dials a service which drives nothing any more is told that its run is another's, and leaves.
        if self._server is not None:
            await self._server.stop()
        await self.service.close()


def prepare(state: Path, telemetry: Telemetry | None = None, max_message_bytes: int = GRPC_MESSAGE_BYTES) -> Launcher:
    """Start what starts workers. Called before any gRPC object exists in the process.

    Args:
        state: Folder for the service's own files; what workers print goes to `logs` in it.
        telemetry: Form of workers' log lines, and where their spans go.
        max_message_bytes: Largest message that goes over a worker's link, either way.
    """
    telemetry = telemetry or Telemetry()
    exporter = ("swath.runtime.otlp_exporter",) if telemetry.otlp_address else ()
    make_task = partial(ForkTask, telemetry=telemetry, max_message_bytes=max_message_bytes)
    launcher = ForkLauncher(state / "logs", make_task, (*PRELOAD, *exporter))
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
