"""The config service put together."""

from __future__ import annotations

from swath.api import CUVIS
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath_config.service import ConfigService
from swath_config.servicer import ConfigServicer
from swath_config.settings import ConfigSettings


def build(deps: Deps, *, settings: ConfigSettings, sessions: Sessions) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        sessions: Sessions as callers see them.
    """
    service = ConfigService(sessions, deps.workspace, settings, deps.telemetry)
    deps.stack.push_async_callback(service.close)
    return Assembly(
        service="config",
        handlers=(slice_handler(CUVIS, "config", ConfigServicer(service)),),
        names=(CUVIS,),
        warm_up=service.warm_up,
    )
