"""Settings of workers that are Kubernetes Jobs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class JobSettings(BaseSettings):
    """Where Jobs come from and go. Fields are environment variables too: `SWATH_JOBS_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_JOBS_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    template: Path | None = None
    """File with a Job (YAML) whose first container is the worker.

    It is given a name, labels, an owner and the variables that tell the worker what to run; all else, such as image,
    volumes, tolerations and times, stays as it is. Without one, workers are processes on the training service's own
    machine.
    """
    owner: str = ""
    """Deployment that owns the Jobs: they go when it is deleted."""
    gpu_resource: str = "nvidia.com/gpu"
    """Resource that a run which asks for GPUs requests."""
    max_processes: int = Field(default=64, ge=1)
    """Processes that a run may ask for. Each is a pod."""
    port: int = Field(default=29400, gt=0, lt=1 << 16)
    """Port of a run's first pod at which the others meet it."""
    last_port: int = Field(default=0, ge=0, lt=1 << 16)
    """Last of the ports after that which the pods of a run use among one another, by a sysctl; 0 leaves the choice to
    the system."""
    address: str = ""
    """IP:PORT at which workers reach this replica: its pod's address, and the port that it listens on."""

    @model_validator(mode="after")
    def _is_reachable(self) -> JobSettings:
        if self.template is not None and not self.address:
            raise ValueError("a template needs an address too, at which workers reach this replica")
        if self.last_port and self.last_port <= self.port + 1:
            raise ValueError(f"last_port {self.last_port} leaves no ports after port {self.port}")
        return self
