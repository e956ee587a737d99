"""Ray Serve: one deployment over the bare models behind its gRPC proxy, and one that merges calls."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import own_pb2  # the benchmark generates it from its own proto before it starts this server
import ray
from ray import serve
from ray.serve.config import gRPCOptions

from benchmarks.serving.models import MODELS, Bare
from benchmarks.serving.peers.environment import BATCH, BATCH_DELAY_S, PORT, SECOND_PORT


def add_servicer(servicer: Any, server: Any) -> None:
    """Register the service, as generated code does."""
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.Infer, own_pb2.Tensor.FromString, own_pb2.Tensor.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("swath.bench.v1.Models", {"Infer": handler}),)
    )


# It stands still while others are measured, and is not to be taken for dead afterwards.
@serve.deployment(max_ongoing_requests=256, health_check_period_s=600, health_check_timeout_s=600)
class Served:
    """All of the models."""

    def __init__(self) -> None:
        self._models = Bare(Path(os.environ["BENCH_WEIGHTS"]))

    async def Infer(self, request: own_pb2.Tensor) -> own_pb2.Tensor:  # noqa: N802
        x = np.frombuffer(request.data, np.float32).reshape(request.shape)
        if MODELS[request.model].batched:
            answer = await self._merged((request.model, x))
        else:
            answer = self._models.answer(request.model, x)
        return own_pb2.Tensor(model=request.model, shape=answer.shape, data=answer.tobytes())

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_DELAY_S)
    async def _merged(self, calls: list[tuple[str, np.ndarray]]) -> list[np.ndarray]:
        answers = self._models.answer(calls[0][0], np.concatenate([x for _, x in calls]))
        return np.split(answers, len(calls))


async def _wait() -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(
        http_options={"port": SECOND_PORT, "host": "127.0.0.1"},
        grpc_options=gRPCOptions(
            port=PORT, grpc_servicer_functions=["benchmarks.serving.peers.ray.server.add_servicer"]
        ),
    )
    from benchmarks.serving.peers.ray.server import Served as Deployed

    serve.run(Deployed.bind(), name="bench", route_prefix="/bench")
    asyncio.run(_wait())
