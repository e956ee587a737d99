"""The inference service in a process of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from pydantic import Field

from swath.api import CUVIS, PROFILES
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler, whole_handler
from swath.rpc.server.metrics import Metrics
from swath.runtime.process import Assembly
from swath.runtime.replica import ReplicaSettings, channel_to, remote_sessions
from swath.storage.opening import open_artifacts, open_workspace
from swath_inference.adapters.profiles import ProfileShareServicer, RemoteReplicas
from swath_inference.profiling import Profiler
from swath_inference.service import InferenceService
from swath_inference.servicer import InferenceServicer
from swath_inference.settings import InferenceSettings


class InferenceReplicaSettings(ReplicaSettings):
    """Settings of a replica of the inference service."""

    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    """What it holds and takes."""


async def assemble(settings: InferenceReplicaSettings, stack: AsyncExitStack) -> Assembly:
    """Put the service together."""
    sessions = remote_sessions(settings, stack)
    profiler = Profiler()
    share = ProfileShareServicer(profiler)
    replicas = RemoteReplicas(
        settings.addresses("inference"), partial(channel_to, settings, "inference"), share.replica
    )
    stack.push_async_callback(replicas.close)
    service = InferenceService(
        settings.inference,
        sessions,
        open_artifacts(settings, settings.state),
        open_workspace(settings, settings.state, settings.configs),
        profiler,
        replicas,
    )
    stack.callback(service.close)
    sessions.on_close(service.forget, service.held)

    def tell(metrics: Metrics) -> None:
        metrics.gauge("swath_inference_queue_length", "Calls that wait for the device.", lambda: service.waiting)
        metrics.gauge("swath_inference_models", "Models that are loaded.", lambda: service.models)
        metrics.gauge("swath_inference_model_bytes", "Bytes of models that are loaded.", lambda: service.model_bytes)
        metrics.counter("swath_inference_model_loads", "Models that were loaded.", lambda: service.model_loads)
        metrics.gauge(
            "swath_device_memory_bytes", "Memory of the GPU: used, free, allocated.", service.device_memory, label="use"
        )

    return Assembly(
        handlers=(
            slice_handler(CUVIS, "inference", InferenceServicer(service, shared_memory=False)),
            whole_handler(PROFILES, share),
        ),
        names=(CUVIS,),
        health=HealthBoard(("inference",)),
        warm_up=service.warm_up,
        metrics=tell,
    )
