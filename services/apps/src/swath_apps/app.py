"""The apps service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings
from swath_apps.assembly import build
from swath_apps.launch.settings import LaunchSettings
from swath_apps.settings import AppsSettings


class AppsReplicaSettings(ReplicaSettings):
    """Settings of a replica of the apps service."""

    apps: AppsSettings = Field(default_factory=AppsSettings)
    """Who may deploy applications, and what they may cost."""
    launch: LaunchSettings = Field(default_factory=LaunchSettings)
    """Where their replicas run."""


def assemble(settings: AppsReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks no other one."""
    return build(deps, settings=settings.apps, launch=settings.launch, tls=settings)
