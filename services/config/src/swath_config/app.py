"""The config service in a process of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack

from pydantic import Field

from swath.api import CUVIS
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.logs import Telemetry
from swath.runtime.process import Assembly
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath.storage.opening import open_workspace
from swath_config.service import ConfigService
from swath_config.servicer import ConfigServicer
from swath_config.settings import ConfigSettings


class ConfigReplicaSettings(ReplicaSettings):
    """Settings of a replica of the config service."""

    config: ConfigSettings = Field(default_factory=ConfigSettings)
    """What a composition may cost."""


async def assemble(settings: ConfigReplicaSettings, stack: AsyncExitStack) -> Assembly:
    """Put the service together."""
    workspace = open_workspace(settings, settings.state, settings.configs)
    service = ConfigService(workspace, settings.config, Telemetry.of(settings))
    stack.push_async_callback(service.close)
    sessions = remote_sessions(settings, stack)
    return Assembly(
        handlers=(slice_handler(CUVIS, "config", ConfigServicer(service, sessions)),),
        names=(CUVIS,),
        health=HealthBoard(("config",)),
        warm_up=service.warm_up,
    )
