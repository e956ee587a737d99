"""The inference service put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.api import CUVIS, INFERENCE, PROFILE_SHARE
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath_inference.profiling.profiler import Profiler
from swath_inference.profiling.replicas import ProfileShareServicer
from swath_inference.protocols.cuvis.servicer import InferenceServicer
from swath_inference.protocols.stream.servicer import StreamServicer
from swath_inference.service import InferenceService, Replicas
from swath_inference.settings import InferenceSettings

if TYPE_CHECKING:
    from swath.rpc.server.metrics import Metrics


def build(
    deps: Deps,
    *,
    settings: InferenceSettings,
    sessions: Sessions,
    shared_memory: bool,
    replicas: Replicas,
) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        sessions: Sessions as callers see them.
        shared_memory: Whether clients on this machine may refer to shared memory.
        replicas: The other replicas of this service.
    """
    profiler = Profiler()
    service = InferenceService(settings, sessions, deps.artifacts, deps.workspace, profiler, replicas)
    deps.stack.callback(service.close)
    sessions.on_close(service.forget, service.sessions_in_use)

    def register(metrics: Metrics) -> None:
        metrics.gauge("swath_inference_queue_length", "Calls that wait for the device.", lambda: service.waiting)
        metrics.gauge("swath_inference_models", "Models that are loaded.", lambda: service.models)
        metrics.gauge("swath_inference_model_bytes", "Bytes of models that are loaded.", lambda: service.model_bytes)
        metrics.counter("swath_inference_model_loads", "Models that were loaded.", lambda: service.model_loads)
        metrics.gauge("swath_inference_streams", "Streams of frames that are open.", lambda: len(service.streams))
        metrics.gauge(
            "swath_inference_cube_bytes", "Memory of cubes that arrive in chunks.", lambda: service.cubes.held
        )
        metrics.gauge(
            "swath_device_memory_bytes", "Memory of the GPU: used, free, allocated.", service.device_memory, label="use"
        )

    return Assembly(
        service="inference",
        handlers=(
            slice_handler(CUVIS, "inference", InferenceServicer(service, shared_memory=shared_memory)),
            slice_handler(INFERENCE, "inference", StreamServicer(service)),
        ),
        private=(slice_handler(PROFILE_SHARE, "inference", ProfileShareServicer(profiler, replicas.name)),),
        names=(CUVIS, INFERENCE),
        warm_up=service.warm_up,
        metrics=register,
    )
