"""What open sessions cost the server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc

from benchmarks.harness import Row, limit_row, server
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub

SESSIONS = 10_000
CALLERS = 64


def measure() -> list[Row]:
    with server() as running:
        before = _resident(running.pid)
        start = time.perf_counter()
        asyncio.run(_open(running.target))
        seconds = time.perf_counter() - start
        grown = _resident(running.pid) - before
    detail = f"made over gRPC in {seconds:.1f} s"
    return [limit_row(f"memory of {SESSIONS} open sessions", max(grown, 0) / 2**20, 100, "MB", detail)]


async def _open(target: str) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = CuvisAIServiceStub(channel)

        async def caller() -> None:
            for _ in range(SESSIONS // CALLERS + 1):
                await stub.CreateSession(pb.CreateSessionRequest())  # type: ignore[misc]

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell how much memory a process has")
