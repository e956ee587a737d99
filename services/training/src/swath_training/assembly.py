"""The training service put together."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from swath.api import ARTIFACT_REFERENCES, CUVIS, RUN_SERVICE
from swath.errors import StorageDenied
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.logs import Telemetry
from swath.sessions.model import Sessions
from swath.storage import ArtifactStore, Workspace
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.pipelines import EnginePipelines, Pipelines
from swath_training.api.reference_servicer import ArtifactReferencesServicer
from swath_training.api.run_servicer import RunServicer
from swath_training.api.service import TrainingService
from swath_training.api.servicer import TrainingServicer
from swath_training.api.worker_servicer import WorkerLinkServicer, WorkerServer, worker_handler
from swath_training.launch.fork import ForkLauncher
from swath_training.link.endpoint import GRPC_MESSAGE_BYTES
from swath_training.runs.database.store import RunStore
from swath_training.runs.database.tables import SCHEMA
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher
from swath_training.worker.fork_task import PRELOAD, ForkTask

if TYPE_CHECKING:
    from swath.rpc.server.metrics import Metrics

FOLDER = "training"
"""Folder of the service in the process's state folder."""
DATABASE = f"{FOLDER}/training.db"
"""SQLite file of runs, from the process's state folder."""

_MAX_SOCKET_PATH = 100


@dataclass(frozen=True, kw_only=True)
class TrainingAssembly(Assembly):
    """The training service put together.

    Attributes:
        references: Gives the digests of all artifacts that runs refer to, for services in the same process.
    """

    references: Callable[[], Awaitable[set[str]]]


def build(
    deps: Deps,
    *,
    settings: TrainingSettings,
    sessions: Sessions,
    launcher: Launcher,
    worker_address: str = "",
    max_message_bytes: int,
) -> TrainingAssembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        sessions: Sessions as callers see them.
        launcher: Starts workers. What `prepare` returns must have been made before any gRPC object existed.
        worker_address: Where workers of other machines connect to this process. If empty, workers of this machine
            connect to a Unix socket.
        max_message_bytes: Largest message that goes over the links of workers of this machine, either way.
    """
    training = Training(
        deps.state / FOLDER,
        sessions,
        deps.artifacts,
        deps.workspace,
        launcher=launcher,
        settings=settings,
        database=deps.database_url,
        replica=deps.replica,
        worker_address=worker_address,
        max_message_bytes=max_message_bytes,
    )
    deps.stack.push_async_callback(training.close)
    supervisor, references = training.service.supervisor, training.service.artifacts

    def register(metrics: Metrics) -> None:
        metrics.gauge("swath_training_runs", "Runs that this replica drives.", lambda: len(supervisor.runs))
        metrics.gauge(
            "swath_training_queue_length", "Runs that wait for a device here.", supervisor.waiting, label="device"
        )
        metrics.counter(
            "swath_training_events", "Events that workers reported: one per batch and epoch.", lambda: supervisor.events
        )

    return TrainingAssembly(
        service="training",
        handlers=(
            slice_handler(CUVIS, "training", training.servicer),
            slice_handler(RUN_SERVICE, "training", training.runs),
        ),
        private=(
            slice_handler(ARTIFACT_REFERENCES, "training", ArtifactReferencesServicer(references)),
            *((worker_handler(training.links),) if worker_address else ()),
        ),
        names=(CUVIS, RUN_SERVICE),
        start=training.start,
        warm_up=training.warm_up,
        drain=training.drain,
        metrics=register,
        references=references,
    )


class Training:
    """The training service with its database, its workers and their links.

    Call `prepare` before any gRPC object exists in the process, then make one, `start` it, and at the end `drain` and
    `close` it.

    Args:
        state: Folder for the service's own files.
        sessions: The authority over sessions.
        artifacts: The artifact store.
        workspace: What paths mean.
        pipelines: Builds pipelines that come with a configuration; by default the engine, in a thread.
        launcher: Starts workers; the one that `prepare` returns.
        settings: Times and limits.
        database: URL of the database that replicas share; a file in `state` if not given.
        replica: Name of this one among them, the same after a restart where it can be.
        worker_address: Where workers of other machines connect to: this process serves `links` there. A Unix socket if
            not given.
        max_message_bytes: Largest message that goes over the links of workers of this machine, either way.

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
        engine = open_engine(database or state / Path(DATABASE).name, schema=SCHEMA.name)
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
        """Listen for workers and go on with the runs that an earlier process left."""
        await self._store.prepare()
        if self._listens:
            self._server = WorkerServer(self._worker_address, self.links, self._max_message_bytes)
        # Runs are known before a worker that was left alone can connect again.
        await self.service.start()
        if self._server is not None:
            await self._server.start()

    async def warm_up(self) -> None:
        """Wait until workers start without delay."""
        await self._launcher.warm_up()

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then end their streams."""
        await self.service.drain()

    async def close(self) -> None:
        """Close everything; runs that still go on are left to the next process."""
        # A worker that connects to a service which drives nothing any more is refused, and exits.
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
    """Return the socket for workers: in the state folder, or where paths are short; the same after each start."""
    state.mkdir(parents=True, exist_ok=True)
    near = state.resolve() / "workers" / "link.sock"
    if len(os.fsencode(near)) < _MAX_SOCKET_PATH:
        folder = near.parent
    else:
        name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"swath-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise StorageDenied(f"the folder {folder} for workers' links must be this user's alone")
    return folder / near.name
