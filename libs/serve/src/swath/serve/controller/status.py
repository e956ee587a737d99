"""What `serve.status()` says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from swath.serve.exchange import ApplicationStatus


class DeploymentStatus(StrEnum):
    """State of a deployment."""

    UPDATING = "UPDATING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    UPSCALING = "UPSCALING"
    DOWNSCALING = "DOWNSCALING"


class Trigger(StrEnum):
    """What has brought a deployment into its state."""

    UNSPECIFIED = "UNSPECIFIED"
    CONFIG_UPDATE_STARTED = "CONFIG_UPDATE_STARTED"
    CONFIG_UPDATE_COMPLETED = "CONFIG_UPDATE_COMPLETED"
    UPSCALE_COMPLETED = "UPSCALE_COMPLETED"
    DOWNSCALE_COMPLETED = "DOWNSCALE_COMPLETED"
    AUTOSCALING = "AUTOSCALING"
    REPLICA_STARTUP_FAILED = "REPLICA_STARTUP_FAILED"
    HEALTH_CHECK_FAILED = "HEALTH_CHECK_FAILED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class DeploymentStatusOverview:
    """A deployment.

    Attributes:
        name: Its name.
        status: Its state.
        status_trigger: What has brought it there.
        replica_states: Replicas by state: STARTING, RUNNING, STOPPING.
        message: In words, where there is something to say.
        queued: Calls that wait for a replica.
        ongoing: Calls that run.
    """

    name: str
    status: DeploymentStatus
    status_trigger: Trigger
    replica_states: dict[str, int]
    message: str
    queued: int = 0
    ongoing: int = 0


@dataclass(frozen=True, slots=True)
class ApplicationStatusOverview:
    """An application.

    Attributes:
        status: Its state.
        message: In words, where there is something to say.
        last_deployed_time_s: When it was deployed last, in seconds of `time.time()`.
        deployments: Its deployments by name, the one that clients reach last.
    """

    status: ApplicationStatus
    message: str
    last_deployed_time_s: float
    deployments: dict[str, DeploymentStatusOverview]


@dataclass(frozen=True, slots=True)
class ServeStatus:
    """All that runs.

    Attributes:
        proxies: State of each node's front: STARTING, HEALTHY, DRAINING.
        applications: Applications by name, in order of deployment.
        target_capacity: Ray's; always None.
    """

    proxies: dict[str, str] = field(default_factory=dict)
    applications: dict[str, ApplicationStatusOverview] = field(default_factory=dict)
    target_capacity: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as dicts, lists, texts and numbers."""
        return asdict(self)
