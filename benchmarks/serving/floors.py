"""Floors: servers with nothing around them, each a program (`python -m benchmarks.serving.floors KIND`).

The echoes answer calls of `Inference` by bytes that were written beforehand, found by the request's length, and read
nothing. They need grpcio alone, so that they can run with another release of it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

SERVICE = "cuvis_ai.v1.CuvisAIService"
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1


def tune_allocator() -> None:
    """Have glibc keep large blocks: fresh pages from the system cost a fault each."""
    libc = ctypes.CDLL(None)
    if not all(libc.mallopt(option, _NEVER) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)):
        raise OSError("mallopt refused M_MMAP_THRESHOLD or M_TRIM_THRESHOLD")


def _replies() -> dict[int, bytes]:
    named = json.loads(os.environ["BENCH_REPLIES"])
    return {int(length): Path(file).read_bytes() for length, file in named.items()}


def _handler(function: Callable[..., Any], **serializers: Any) -> grpc.GenericRpcHandler:
    handler = grpc.unary_unary_rpc_method_handler(function, **serializers)
    return grpc.method_handlers_generic_handler(SERVICE, {"Inference": handler})


async def _serve(handler: grpc.GenericRpcHandler) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{os.environ['BENCH_PORT']}")
    await server.start()
    await server.wait_for_termination()


def echo_aio() -> None:
    """Answer on grpc.aio."""
    replies = _replies()

    async def infer(request: bytes, context: Any) -> bytes:
        return replies[len(request)]

    asyncio.run(_serve(_handler(infer)))


def echo_tuned() -> None:
    """Answer on grpc.aio, with the allocator tuned."""
    tune_allocator()
    echo_aio()


def echo_sync() -> None:
    """Answer on the server of threads."""
    replies = _replies()
    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    server.add_generic_rpc_handlers((_handler(lambda request, context: replies[len(request)]),))
    server.add_insecure_port(f"127.0.0.1:{os.environ['BENCH_PORT']}")
    server.start()
    server.wait_for_termination()


def model_tuned() -> None:
    """Compute the bare models on grpc.aio where the call arrives, with the allocator tuned."""
    tune_allocator()
    import numpy as np

    from benchmarks.serving.models import MODELS, Bare
    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

    models = Bare(Path(os.environ["BENCH_WEIGHTS"]))

    async def infer(request: pb.InferenceRequest, context: Any) -> pb.InferenceResponse:
        # The benchmark's session ids end in the model's name.
        name = request.session_id.rsplit("-", 1)[1]
        port = MODELS[name].port
        given = request.inputs.cube if port == "cube" else request.inputs.extra_inputs[port]
        answer = models.answer(name, np.frombuffer(given.raw_data, np.float32).reshape(given.shape))
        tensor = pb.Tensor(shape=answer.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=answer.tobytes())
        return pb.InferenceResponse(outputs={f"{name}.{MODELS[name].output}": tensor})

    read, write = pb.InferenceRequest.FromString, pb.InferenceResponse.SerializeToString
    asyncio.run(_serve(_handler(infer, request_deserializer=read, response_serializer=write)))


def forward() -> None:
    """Print the median seconds of the bare forward of each work, in this process and without a server."""
    import statistics

    import torch

    from benchmarks.serving.models import Bare
    from benchmarks.serving.works import WORKS

    models, medians = Bare(Path(os.environ["BENCH_WEIGHTS"])), {}
    tune_allocator()
    for work in WORKS:
        if work.name in sys.argv[2:]:
            x, times, end = torch.from_numpy(work.array()), [], time.perf_counter() + 0.5
            models(work.model, x)
            while time.perf_counter() < end or len(times) < 5:
                start = time.perf_counter()
                models(work.model, x)
                times.append(time.perf_counter() - start)
            medians[work.name] = statistics.median(times)
    print(json.dumps(medians))


KINDS: dict[str, Callable[[], None]] = {
    "echo-aio": echo_aio,
    "echo-tuned": echo_tuned,
    "echo-sync": echo_sync,
    "model-tuned": model_tuned,
    "forward": forward,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
