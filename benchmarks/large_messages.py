"""Inference of 64 MB against a bare handler of as many bytes, with the allocator's settings of the server and without.

The floor is a grpc.aio server that takes and gives bytes and does nothing else, in a process whose allocator is told
the same as the server's, plus the forward of the same pipeline there. Memory is the most that a process had beyond what
it had before its first large call. By shared memory the same call is made with a region, in and out; the forward is
left out of both.
"""

from __future__ import annotations

import asyncio
import mmap
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.harness import Row, bare_server, interleaved, ratio_row, server
from swath.client import Client, build_stub, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.inference.v1 import shared_memory_pb2
from swath.inference.v1.shared_memory_pb2_grpc import SharedMemoryServiceStub
from swath.rpc.shared_memory import output_metadata
from swath.runtime.allocator import keep_freed_memory
from swath_inference.settings import InferenceSettings

_SERVICE = "cuvis_ai.v1.CuvisAIService"
_CUBE = np.random.default_rng(0).random((1, 256, 256, 256), np.float32)
_WAVELENGTHS = np.linspace(400, 1000, 256, dtype=np.int32)
_SMALL = {
    "name": "picture",
    "class_name": "cuvis_ai.node.channel_selector.FixedWavelengthSelector",
    "hparams": {"target_wavelengths": [650.0], "normalize_output": False},
}
_LARGE = {
    "name": "scaled",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}


@dataclass(frozen=True)
class _Case:
    """A pipeline of one node, and what it is asked for."""

    name: str
    node: dict[str, Any]
    inputs: dict[str, np.ndarray]
    output: str
    reply_bytes: int


_CASES = (
    _Case("64 MB in, small out", _SMALL, {"cube": _CUBE, "wavelengths": _WAVELENGTHS}, "picture.rgb_image", 262_144),
    _Case("64 MB in and out", _LARGE, {"data": _CUBE}, "scaled.normalized", _CUBE.nbytes),
)


def measure() -> list[Row]:
    # This process has the same large blocks as the servers; what they cost it is in every figure.
    kept = InferenceSettings().keep_freed_bytes
    keep_freed_memory(kept)
    rows: list[Row] = []
    with server() as running, Client(running.target) as client:
        for case in _CASES:
            with client.session() as session, _Bare(kept, case) as tuned, _Bare(0, case) as plain:
                session.load_pipeline({"nodes": [case.node], "connections": []})
                batch = pb.InputBatch()
                for name, array in case.inputs.items():
                    target = getattr(batch, name) if name in ("cube", "wavelengths") else batch.extra_inputs[name]
                    target.CopyFrom(numpy_to_proto(array))
                request = pb.InferenceRequest(session_id=session.id, inputs=batch, output_specs=[case.output])
                stub = build_stub(running.target)
                peaks = [
                    _peak(running.pid, partial(stub.Inference, request)),
                    _peak(tuned.pid, partial(tuned.stub.Inference, request)),
                    _peak(plain.pid, partial(plain.stub.Inference, request)),
                ]
                full, floor, untuned, forward = interleaved(
                    partial(stub.Inference, request),
                    partial(tuned.stub.Inference, request),
                    partial(plain.stub.Inference, request),
                    tuned.forward,
                    runs=25,
                )
                detail = (
                    f"{full * 1e3:.0f} ms; bare {floor * 1e3:.0f} + forward {forward * 1e3:.0f} ms; "
                    f"bare with the allocator as it is {untuned * 1e3:.0f} ms"
                )
                rows.append(
                    ratio_row(f"Inference, {case.name}, against the floor", full / (floor + forward), 1.1, detail)
                )
                text = "{:.2f}x  (bare {:.2f}, bare with the allocator as it is {:.2f})".format(*peaks)
                met = peaks[0] <= 3 if case.reply_bytes < _CUBE.nbytes else None
                rows.append(Row(f"peak memory of it, {case.name}", text, "<= 3x" if met is not None else "", met))
                if case.node is _LARGE:
                    rows += _by_shared_memory(running.target, session.id, request, tuned.forward)
    return rows


def _by_shared_memory(
    target: str, session_id: str, request: pb.InferenceRequest, forward: Callable[[], None]
) -> list[Row]:
    """Compare a call whose tensors lie in a region, in and out, with the same one by message."""
    stub: Any = build_stub(target)
    with grpc.insecure_channel(target) as channel:
        acquire = shared_memory_pb2.AcquireRequest(session_id=session_id, byte_size=2 * _CUBE.nbytes)
        stream = SharedMemoryServiceStub(channel).Acquire(acquire)
        region = next(stream)
        with open(region.path, "r+b") as file, mmap.mmap(file.fileno(), region.byte_size) as memory:
            memory[: _CUBE.nbytes] = _CUBE.tobytes()
            shared = pb.InferenceRequest()
            shared.CopyFrom(request)
            place = pb.ShmRef(name=region.name, byte_size=_CUBE.nbytes)
            shared.inputs.extra_inputs["data"].shm_ref.CopyFrom(place)
            metadata = output_metadata(region.name, _CUBE.nbytes, _CUBE.nbytes)
            by_region = partial(stub.Inference, shared, metadata=metadata)
            [answered] = by_region().outputs.values()
            assert answered.shm_ref.byte_size == _CUBE.nbytes
            full, quick, alone = interleaved(partial(stub.Inference, request), by_region, forward, runs=25)
        stream.cancel()
    detail = (
        f"{(quick - alone) * 1e3:.0f} ms against {(full - alone) * 1e3:.0f} ms; "
        f"the forward of {alone * 1e3:.0f} ms is in neither"
    )
    ratio = (quick - alone) / (full - alone)
    return [ratio_row("64 MB in and out by shared memory, against the unary call", ratio, 0.1, detail)]


def _status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _peak(pid: int, call: Callable[[], object]) -> float:
    """Return the most memory that a call takes, in cubes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = _status(pid, "VmRSS")
    call()
    return (_status(pid, "VmHWM") - before) / _CUBE.nbytes


class _Bare:
    """A process with a bare server, which also runs the forward when it is told to."""

    def __init__(self, kept: int, case: _Case) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, kept, case), daemon=True)
        self._process.start()
        self.stub = build_stub(f"127.0.0.1:{self._pipe.recv()}")
        self.pid = self._process.pid or 0

    def forward(self) -> None:
        self._pipe.send(None)
        self._pipe.recv()

    def __enter__(self) -> _Bare:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, kept: int, case: _Case) -> None:
    keep_freed_memory(kept)
    import torch

    from swath.documents import parse
    from swath.engine.graph.pipeline import Pipeline

    pipeline = Pipeline.from_document(parse("pipeline", {"nodes": [case.node], "connections": []})).eval()
    batch = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
    # Answers are made anew, as those of a forward are.
    head = pb.InferenceResponse(outputs={case.output: pb.Tensor(raw_data=bytes(case.reply_bytes))}).SerializeToString()

    async def infer(request: bytes, context: Any) -> bytes:
        return bytes(bytearray(head)) if case.reply_bytes >= _CUBE.nbytes else head

    async def serve() -> None:
        bare = bare_server()
        handlers = {"Inference": grpc.unary_unary_rpc_method_handler(infer)}
        bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        port = bare.add_insecure_port("127.0.0.1:0")
        await bare.start()
        pipe.send(port)
        while True:
            await asyncio.to_thread(pipe.recv)
            await asyncio.to_thread(forward)
            pipe.send(None)

    def forward() -> None:
        with torch.inference_mode():
            pipeline(batch, only=[case.output])

    asyncio.run(serve())
