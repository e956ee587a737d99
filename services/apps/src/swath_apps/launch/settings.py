"""Settings of where replicas of applications run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class LaunchSettings(BaseSettings):
    """Where replicas of applications run. Fields are environment variables too: `SWATH_APPS_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_APPS_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    launcher: Literal["local", "kubernetes", "ray"] = "local"
    """`local`: in processes of the apps service's own machine. `kubernetes`: in pods of Deployments that the service
    makes. `ray`: on Ray clusters, as RayServices that KubeRay runs."""
    template: Path | None = None
    """File with a Kubernetes Deployment (YAML) whose container `replica` runs users' code; for `kubernetes`.

    It is given a name, labels, an owner, numbers and what the deployment asks for; all else, such as volumes,
    tolerations and security, stays as it is. An init container `code`, if it has one, is given the bundle's digest."""
    owner: str = ""
    """Kubernetes Deployment that owns what is made: it goes when that is deleted."""
    gpu_resource: str = "nvidia.com/gpu"
    """Resource that `num_gpus` requests."""
    scaling: Literal["hpa", "keda"] = "hpa"
    """Who scales deployments that have `autoscaling_config`: a HorizontalPodAutoscaler, or KEDA. With `min_replicas: 0`
    it is KEDA always."""
    prometheus_url: str = ""
    """Prometheus that KEDA asks for the calls of a deployment."""
    calls_metric: str = ""
    """External metric (external.metrics.k8s.io) with the calls of a deployment that run or wait, labels `application`
    and `deployment`, that a HorizontalPodAutoscaler holds against `target_ongoing_requests`; without one it looks at
    the CPU."""
    cpu_percent: int = Field(default=80, gt=0)
    """Use of the requested CPU that a HorizontalPodAutoscaler aims at, in percent."""
    stuck_s: float = Field(default=60.0, gt=0)
    """Seconds after which a pod whose image or settings the cluster cannot use makes a version fail."""
    ray_image: str = ""
    """Image with Ray and the users' code that RayServices run, where an application's `runtime_env` names none."""
    ray_version: str = "2.60.0"
    """Release of Ray in it."""
    ray_workers: int = Field(default=1, ge=0)
    """Worker pods of each Ray cluster beside its head."""

    @model_validator(mode="after")
    def _is_complete(self) -> LaunchSettings:
        if self.launcher == "kubernetes" and self.template is None:
            raise ValueError("launcher kubernetes needs a template (SWATH_APPS_TEMPLATE)")
        if self.scaling == "keda" and not self.prometheus_url:
            raise ValueError("scaling by keda needs prometheus_url (SWATH_APPS_PROMETHEUS_URL)")
        return self


Document = dict[str, Any]
"""A Kubernetes object."""
