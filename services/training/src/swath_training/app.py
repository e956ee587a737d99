"""The training service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath_training.assembly import FOLDER, build, prepare
from swath_training.launch.kubernetes.settings import JobSettings
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher


class TrainingReplicaSettings(ReplicaSettings):
    """Settings of a replica of the training service."""

    training: TrainingSettings = Field(default_factory=TrainingSettings)
    """How runs are followed, resumed and stopped."""
    jobs: JobSettings = Field(default_factory=JobSettings)
    """Workers as Kubernetes Jobs."""


def assemble(settings: TrainingReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the session service over gRPC."""
    jobs = settings.jobs.template is not None
    launcher: Launcher
    if jobs:
        # The Kubernetes client takes a second to import.
        from swath_training.launch.kubernetes.launcher import JobLauncher

        launcher = JobLauncher(settings.jobs)
    else:
        # What workers are forked from must be there before any gRPC object: forking gRPC's threads can hang.
        launcher = prepare(deps.state / FOLDER, deps.telemetry, settings.max_message_bytes)
    return build(
        deps,
        settings=settings.training,
        sessions=remote_sessions(settings, deps.stack),
        launcher=launcher,
        worker_address=settings.jobs.address if jobs else "",
        max_message_bytes=settings.max_message_bytes,
    )
