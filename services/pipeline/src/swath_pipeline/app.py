"""The pipeline service in a process of its own."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack

from swath.api import CUVIS, NODES
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.process import Assembly
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath.storage.opening import open_artifacts, open_workspace
from swath_pipeline import compose


async def assemble(settings: ReplicaSettings, stack: AsyncExitStack) -> Assembly:
    """Put the service together."""
    sessions = remote_sessions(settings, stack)
    workspace = open_workspace(settings, settings.state, settings.configs)
    servicer = compose(sessions, open_artifacts(settings, settings.state), workspace)
    return Assembly(
        handlers=(slice_handler(CUVIS, "pipeline", servicer), slice_handler(NODES, "pipeline", servicer)),
        names=(CUVIS, NODES),
        health=HealthBoard(("pipeline",)),
        warm_up=_import_engine,
    )


async def _import_engine() -> None:
    await asyncio.to_thread(importlib.import_module, "swath.engine.graph.pipeline")
