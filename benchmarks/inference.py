"""Inference of global RX on the San Diego cube, against a bare handler and the bare forward.

The floor is a grpc.aio server without anything around it that takes the same request and sends a reply of the same
size, plus the forward of the same pipeline on its own, on as many threads.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import grpc

from benchmarks.harness import Row, bare_server, interleaved, median, ratio_row, scene, server
from swath.client import Client, build_stub, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

_METHOD = "cuvis_ai.v1.CuvisAIService"


def measure() -> list[Row]:
    cube, wavelengths = scene()
    context = multiprocessing.get_context("spawn")
    with server() as running, Client(running.target) as client, client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        saved = session.save_pipeline("bench/rx.yaml")
        request = pb.InferenceRequest(
            session_id=session.id,
            inputs=pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(wavelengths)),
            output_specs=["scores"],
        )
        stub = build_stub(running.target)
        reply = stub.Inference(request)

        ours, theirs = context.Pipe()
        bare = context.Process(target=_bare_server, args=(theirs, reply.SerializeToString()), daemon=True)
        bare.start()
        floor = build_stub(f"127.0.0.1:{ours.recv()}")
        full, handler = interleaved(
            lambda: stub.Inference(request), lambda: floor.Inference(request), runs=60, warm_up=5
        )
        bare.kill()

        forwards = context.Process(target=_bare_forward, args=(theirs, saved.pipeline, saved.weights), daemon=True)
        forwards.start()
        forward = ours.recv()
        forwards.join()
    detail = f"{full * 1e3:.1f} ms; handler {handler * 1e3:.1f} + forward {forward * 1e3:.1f} ms"
    return [ratio_row("Inference, 7.6 MB in, against the floor", full / (handler + forward), 1.3, detail)]


def _bare_server(pipe: Connection, reply: bytes) -> None:
    """Answer every Inference with the same reply."""

    async def serve() -> None:
        answer = pb.InferenceResponse.FromString(reply)

        async def infer(request: pb.InferenceRequest, context: Any) -> pb.InferenceResponse:
            return answer

        handlers = {
            "Inference": grpc.unary_unary_rpc_method_handler(
                infer, pb.InferenceRequest.FromString, pb.InferenceResponse.SerializeToString
            )
        }
        bare = bare_server()
        bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_METHOD, handlers),))
        port = bare.add_insecure_port("127.0.0.1:0")
        await bare.start()
        pipe.send(port)
        await bare.wait_for_termination()

    asyncio.run(serve())


def _bare_forward(pipe: Connection, document: str, weights_path: str) -> None:
    """Time the forward alone, of what the server saved."""
    from pathlib import Path

    import torch

    from swath.documents import load_yaml, parse
    from swath.engine.graph import weights
    from swath.engine.graph.pipeline import Pipeline

    pipeline = Pipeline.from_document(parse("pipeline", load_yaml(Path(document).read_bytes())))
    state, _ = weights.load(Path(weights_path).read_bytes())
    pipeline.load_state(state, strict=True)
    cube, wavelengths = scene()
    batch = {"cube": torch.from_numpy(cube), "wavelengths": torch.from_numpy(wavelengths)}
    with torch.inference_mode():
        pipe.send(median(lambda: pipeline(batch, only=["scores"]), 60, warm_up=5))
