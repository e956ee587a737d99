"""The pipeline service put together."""

from __future__ import annotations

from swath.api import CUVIS, NODES
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath_pipeline.service import PipelineService
from swath_pipeline.servicer import PipelineServicer


def build(deps: Deps, *, sessions: Sessions) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        sessions: Sessions as callers see them.
    """
    service = PipelineService(sessions, deps.artifacts, deps.workspace)
    servicer = PipelineServicer(service)
    return Assembly(
        service="pipeline",
        handlers=(slice_handler(CUVIS, "pipeline", servicer), slice_handler(NODES, "pipeline", servicer)),
        names=(CUVIS, NODES),
        warm_up=service.warm_up,
    )
