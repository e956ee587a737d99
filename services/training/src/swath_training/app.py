"""The training service in a process of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack

from pydantic import Field

from swath.api import CUVIS, REFERENCES, RUNS
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler, whole_handler
from swath.rpc.server.metrics import Metrics
from swath.runtime.logs import Telemetry
from swath.runtime.process import Assembly
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath.storage.opening import open_artifacts, open_workspace
from swath_training.api.reference_servicer import ArtifactReferencesServicer
from swath_training.api.worker_servicer import worker_handler
from swath_training.composition import Training, prepare
from swath_training.launch.kubernetes.settings import JobSettings
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher


class TrainingReplicaSettings(ReplicaSettings):
    """Settings of a replica of the training service."""

    training: TrainingSettings = Field(default_factory=TrainingSettings)
    """How runs are followed, resumed and stopped."""
    jobs: JobSettings = Field(default_factory=JobSettings)
    """Workers as Kubernetes Jobs."""


async def assemble(settings: TrainingReplicaSettings, stack: AsyncExitStack) -> Assembly:
    """Put the service together."""
    in_jobs = settings.jobs.template is not None
    if in_jobs:
        from swath_training.launch.kubernetes.launcher import (
            JobLauncher,  # imports the Kubernetes client, which takes a second
        )

        launcher: Launcher = JobLauncher(settings.jobs)
    else:
        # What workers are forked from must be there before any gRPC object: forking gRPC's threads can hang.
        launcher = prepare(settings.state / "training", Telemetry.of(settings), settings.max_message_bytes)
    sessions = remote_sessions(settings, stack)
    artifacts = open_artifacts(settings, settings.state)
    training = Training(
        settings.state / "training",
        sessions,
        artifacts,
        open_workspace(settings, settings.state, settings.configs),
        launcher=launcher,
        settings=settings.training,
        database=settings.database_url,
        replica=settings.replica,
        worker_address=settings.jobs.address if in_jobs else "",
        max_message_bytes=settings.max_message_bytes,
    )
    await training.start()
    stack.push_async_callback(training.close)

    def tell(metrics: Metrics) -> None:
        supervisor = training.service.supervisor
        metrics.gauge("swath_training_runs", "Runs in this replica's charge.", lambda: len(supervisor.runs))
        metrics.gauge(
            "swath_training_queue_length", "Runs that wait for a device here.", supervisor.waiting, label="device"
        )
        metrics.counter(
            "swath_training_events", "Events that workers reported: one per batch and epoch.", lambda: supervisor.events
        )

    return Assembly(
        handlers=(
            slice_handler(CUVIS, "training", training.servicer),
            slice_handler(RUNS, "training", training.runs),
            whole_handler(REFERENCES, ArtifactReferencesServicer(training.service.artifacts)),
            *((worker_handler(training.links),) if in_jobs else ()),
        ),
        names=(CUVIS, RUNS),
        health=HealthBoard(("training",)),
        warm_up=training.warm_up,
        send_away=training.drain,
        metrics=tell,
    )
