"""The config service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath_config.assembly import build
from swath_config.settings import ConfigSettings


class ConfigReplicaSettings(ReplicaSettings):
    """Settings of a replica of the config service."""

    config: ConfigSettings = Field(default_factory=ConfigSettings)
    """What a composition may cost."""


def assemble(settings: ConfigReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the session service over gRPC."""
    return build(deps, settings=settings.config, sessions=remote_sessions(settings, deps.stack))
