"""The inference service put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.api import CUVIS, PROFILE_SHARE
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath_inference.profiling.profiler import Profiler, Replicas
from swath_inference.profiling.replicas import ProfileShareServicer
from swath_inference.protocols.cuvis.servicer import InferenceServicer
from swath_inference.service import InferenceService
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
        metrics.counter(
            "swath_inference_queue_seconds", "Sum of the seconds that calls waited.", lambda: service.batching().seconds
        )
        metrics.counter("swath_inference_forwards", "Forwards.", lambda: service.batching().forwards)
        metrics.counter("swath_inference_calls", "Calls that were computed.", lambda: service.batching().calls)
        metrics.counter(
            "swath_inference_merged_calls", "Calls that were computed with others.", lambda: service.batching().merged
        )
        metrics.counter(
            "swath_inference_dropped_calls",
            "Calls that were never started, since nobody waited for them any more.",
            lambda: service.batching().dropped,
        )
        metrics.gauge("swath_inference_models", "Models that are loaded.", lambda: service.models)
        metrics.gauge("swath_inference_model_bytes", "Bytes of models that are loaded.", lambda: service.model_bytes)
        metrics.counter("swath_inference_model_loads", "Models that were loaded.", lambda: service.model_loads)
        metrics.gauge(
            "swath_device_memory_bytes", "Memory of the GPU: used, free, allocated.", service.device_memory, label="use"
        )

    return Assembly(
        service="inference",
        handlers=(slice_handler(CUVIS, "inference", InferenceServicer(service, shared_memory=shared_memory)),),
        private=(slice_handler(PROFILE_SHARE, "inference", ProfileShareServicer(profiler, replicas.name)),),
        names=(CUVIS,),
        warm_up=service.warm_up,
        metrics=register,
    )
