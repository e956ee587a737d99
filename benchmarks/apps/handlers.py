"""The deployments that are compared: one text for Swath and for Ray Serve, chosen by BENCH_SERVE.

BENCH_PB2 is the folder with `bench_pb2`, which is on the path.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from typing import Any

import bench_pb2  # pyright: ignore[reportMissingImports]

serve: Any = importlib.import_module(os.environ["BENCH_SERVE"])


@serve.deployment(max_ongoing_requests=64)
class Bench:
    """Answers, and ends its process where it is asked to."""

    async def Tiny(self, request: Any) -> Any:  # noqa: N802
        return bench_pb2.Number(value=request.value + 1)

    async def Large(self, request: Any) -> Any:  # noqa: N802
        return bench_pb2.Number(value=len(request.data))

    async def Count(self, request: Any) -> AsyncIterator[Any]:  # noqa: N802
        for number in range(request.value):
            yield bench_pb2.Number(value=number)

    async def Exit(self, request: Any) -> Any:  # noqa: N802
        os._exit(1)


@serve.deployment(
    max_ongoing_requests=64, autoscaling_config={"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1}
)
class Sleeper:
    """Has no replica until it is called."""

    async def Tiny(self, request: Any) -> Any:  # noqa: N802
        return bench_pb2.Number(value=request.value + 1)


bench = Bench.bind()
sleeper = Sleeper.bind()
