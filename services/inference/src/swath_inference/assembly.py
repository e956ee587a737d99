"""The inference service put together."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from swath.api import CUVIS, INFERENCE, OPEN_INFERENCE, PROFILE_SHARE, REDHARE, SHARED_MEMORY
from swath.published.model import PublishedCatalogue
from swath.rpc.server.methods import slice_handler
from swath.runtime.allocator import keep_freed_memory
from swath.runtime.assembly import Assembly, Deps
from swath.sessions.model import Sessions
from swath_inference.dataplane.limits import SIZES
from swath_inference.profiling.profiler import Profiler, Replicas
from swath_inference.profiling.replicas import ProfileShareServicer
from swath_inference.profiling.service import ProfilingService
from swath_inference.protocols.cuvis.servicer import InferenceServicer
from swath_inference.protocols.cuvis.shared import SharedMemory
from swath_inference.protocols.oip.assembly import open_inference
from swath_inference.protocols.redhare.door import RedhareDoor
from swath_inference.protocols.redhare.identities import Identities
from swath_inference.protocols.shared_memory.servicer import SharedMemoryServicer
from swath_inference.protocols.stream.servicer import StreamServicer
from swath_inference.published.calls import ModelCalls
from swath_inference.published.follower import Follower
from swath_inference.published.loading import Loader
from swath_inference.published.models import PublishedModels
from swath_inference.service import InferenceService
from swath_inference.settings import InferenceSettings
from swath_inference.shm.regions import Regions
from swath_inference.shm.service import RegionService

if TYPE_CHECKING:
    from swath.rpc.server.metrics import Metrics


def build(
    deps: Deps,
    *,
    settings: InferenceSettings,
    sessions: Sessions,
    shared_memory: bool,
    any_segment: bool = False,
    replicas: Replicas,
    catalogue: PublishedCatalogue,
    identities: Identities,
) -> Assembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        sessions: Sessions as callers see them.
        shared_memory: Whether clients on this machine may refer to shared memory.
        any_segment: Whether they may name any segment of it, and not only those under the session's own name.
        replicas: The other replicas of this service.
        catalogue: What is published.
        identities: Users with passwords, and what their tokens are signed with.
    """
    # Before there are other threads: each may get a heap of its own.
    keep_freed_memory(settings.keep_freed_bytes)
    profiler = Profiler()
    service = InferenceService(settings, sessions, deps.artifacts, deps.workspace, profiler)
    profiling = ProfilingService(sessions, profiler, replicas)
    runner = service.runner
    deps.stack.callback(service.close)
    published = PublishedModels()
    # Only a callback: what follows the catalogue is made of what loads models.
    loader = Loader(published, runner, lambda: follower.changed())
    calls = ModelCalls(published, loader, runner)
    follower = Follower(catalogue, calls, loader, f"{deps.replica}-{os.getpid()}", settings.models_wait_s)
    deps.stack.push_async_callback(follower.stop)
    redhare = RedhareDoor(settings, identities, calls)
    deps.stack.callback(redhare.close)
    sessions.on_close(service.forget, service.sessions_in_use)
    regions = Regions(settings.shared_memory_bytes, settings.shared_memory_session_bytes, settings.shared_memory_idle_s)
    deps.stack.callback(regions.end_all)
    behind_gateway = not shared_memory and settings.segments_behind_gateway
    memory = SharedMemory(regions, local=shared_memory, behind_gateway=behind_gateway, free=any_segment)
    region_service = RegionService(sessions, regions)
    sessions.on_close(region_service.forget, lambda: regions.sessions)

    serving = asyncio.Event()
    door = open_inference(
        calls,
        ready=serving.is_set,
        max_batch_size=settings.max_batch_size,
        shared_memory=shared_memory,
        free=any_segment,
        traced=bool(deps.telemetry.otlp_address),
    )

    def register(metrics: Metrics) -> None:
        metrics.gauge("swath_inference_queue_length", "Calls that wait for the device.", lambda: runner.waiting)
        metrics.counter(
            "swath_inference_queue_seconds", "Sum of the seconds that calls waited.", lambda: runner.batching().seconds
        )
        metrics.counter("swath_inference_forwards", "Forwards.", lambda: runner.batching().forwards)
        metrics.counter("swath_inference_calls", "Calls that were computed.", lambda: runner.batching().calls)
        metrics.counter(
            "swath_inference_merged_calls", "Calls that were computed with others.", lambda: runner.batching().merged
        )
        metrics.histogram(
            "swath_inference_batch_size",
            "Calls of a forward.",
            SIZES,
            lambda: (counts := runner.batching()) and (counts.by_size, counts.calls),
        )
        metrics.counter(
            "swath_inference_dropped_calls",
            "Calls that were never started, since nobody waited for them any more.",
            lambda: runner.batching().dropped,
        )
        metrics.gauge("swath_inference_models", "Models that are loaded.", lambda: runner.models)
        metrics.gauge("swath_inference_model_bytes", "Bytes of models that are loaded.", lambda: runner.model_bytes)
        metrics.gauge("swath_inference_shared_memory_bytes", "Bytes of regions of shared memory.", lambda: regions.size)
        metrics.counter("swath_inference_model_loads", "Models that were loaded.", lambda: runner.model_loads)
        metrics.gauge(
            "swath_inference_streams",
            "Streams of frames that are open.",
            lambda: len(service.streams) + len(calls.streams) + len(door.streams) + len(redhare),
        )
        metrics.gauge(
            "swath_inference_cube_bytes",
            "Memory of cubes that arrive in chunks, and of their outputs.",
            lambda: service.cubes.held,
        )
        metrics.gauge(
            "swath_device_memory_bytes", "Memory of the GPU: used, free, allocated.", runner.device_memory, label="use"
        )

        from swath_inference.published.metrics import ModelMetrics

        metrics.registry.register(ModelMetrics(published, calls.counts))

    async def warm_up() -> None:
        await service.warm_up()
        await follower.first()
        serving.set()

    async def drain() -> None:
        serving.clear()
        door.streams.drain()
        await region_service.drain()
        service.streams.drain()
        calls.streams.drain()
        redhare.drain()

    return Assembly(
        service="inference",
        handlers=(
            slice_handler(CUVIS, "inference", InferenceServicer(service, profiling, memory=memory)),
            slice_handler(SHARED_MEMORY, "inference", SharedMemoryServicer(region_service, local=shared_memory)),
            slice_handler(INFERENCE, "inference", StreamServicer(service, calls)),
            slice_handler(OPEN_INFERENCE, "inference", door.servicer),
            redhare.methods,
        ),
        private=(slice_handler(PROFILE_SHARE, "inference", ProfileShareServicer(profiler, replicas.name)),),
        names=(CUVIS, INFERENCE, OPEN_INFERENCE, SHARED_MEMORY, REDHARE),
        drain=drain,
        start=follower.start,
        listening=redhare.listening,
        warm_up=warm_up,
        metrics=register,
        health=follower.to_health,
    )
