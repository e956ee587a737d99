"""What is around every call of a server, on a tiny echo: against the same echo on a bare grpc.aio server.

Both echoes parse and answer the same messages with the same options of gRPC, each in a process of its own, which this
one calls in turn. The CPU time of a call is that of its server alone.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from operator import sub, truediv
from pathlib import Path
from typing import Any

import grpc

from benchmarks.harness import Row, bare_server, limit_row
from swath.api import CUVIS
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.auth.tokens import hash_of
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings

_TOKEN = "swath_of-the-benchmark"
_PATH = f"/{CUVIS}/Inference"
_ROUNDS = 40
_CALLS = {1: 300, 64: 960}
"""Calls of a round, by how many are under way at a time. Rounds are short, so that what else the machine does falls on
all servers alike."""
_MORE_US = 60.0


def measure() -> list[Row]:
    with _server("bare") as bare, _server("wrapped") as wrapped, _server("wrapped, tokens") as known:
        asyncio.run(_drive(bare, wrapped, known))
    rows = []
    for calls in _CALLS:
        rows.append(Row(f"tiny echo, {calls} at a time: bare", bare.text(calls)))
        for echo in (wrapped, known):
            rate, p50, cpu = (
                statistics.median(
                    compare(getattr(each, name), getattr(floor, name))
                    for each, floor in zip(echo.rounds[calls], bare.rounds[calls], strict=True)
                )
                for name, compare in (("rate", truediv), ("p50_us", truediv), ("cpu_us", sub))
            )
            name = f"tiny echo, {calls} at a time: {echo.kind}, CPU beside the bare one's"
            detail = f"{rate:.2f}x its requests/s, {p50:.2f}x its p50; {echo.text(calls)}"
            rows.append(limit_row(name, cpu, _MORE_US, "us a call", detail))
    return rows


@dataclass(frozen=True)
class _Figures:
    rate: float
    p50_us: float
    cpu_us: float


@dataclass
class _Echo:
    """A server under load, and what each round has measured of it."""

    kind: str
    pid: int
    port: int
    rounds: dict[int, list[_Figures]] = field(default_factory=dict)

    def text(self, calls: int) -> str:
        """Return the medians of its rounds with so many calls at a time."""
        rate, p50, cpu = (
            statistics.median(getattr(each, name) for each in self.rounds[calls])
            for name in ("rate", "p50_us", "cpu_us")
        )
        return f"{rate:.0f} requests/s, p50 {p50:.0f} us, server CPU {cpu:.0f} us a call"

    def cpu_s(self) -> float:
        """Return the CPU time of all its threads."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


async def _drive(*echoes: _Echo) -> None:
    request = _request().SerializeToString()
    async with asyncio.timeout(600):
        channels = {echo.kind: grpc.aio.insecure_channel(f"127.0.0.1:{echo.port}") for echo in echoes}
        for number in range(-2, _ROUNDS):
            for calls, count in _CALLS.items():
                # Each goes first as often as the others.
                for echo in (*echoes[number % len(echoes) :], *echoes[: number % len(echoes)]):
                    figures = await _round(echo, channels[echo.kind], request, calls, count)
                    if number >= 0:
                        echo.rounds.setdefault(calls, []).append(figures)
        for channel in channels.values():
            await channel.close()


async def _round(echo: _Echo, channel: grpc.aio.Channel, request: bytes, at_a_time: int, count: int) -> _Figures:
    call = channel.unary_unary(_PATH)
    metadata = (("authorization", f"Bearer {_TOKEN}"),)
    seconds: list[float] = []

    async def caller() -> None:
        for _ in range(count // at_a_time):
            begun = time.perf_counter()
            await call(request, metadata=metadata)
            seconds.append(time.perf_counter() - begun)

    spent, begun = echo.cpu_s(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_a_time)))
    wall, spent = time.perf_counter() - begun, echo.cpu_s() - spent
    return _Figures(len(seconds) / wall, statistics.median(seconds) * 1e6, spent / len(seconds) * 1e6)


def _request() -> pb.InferenceRequest:
    cube = pb.Tensor(shape=[1, 16], dtype=pb.D_TYPE_FLOAT32, raw_data=bytes(64))
    return pb.InferenceRequest(session_id="a" * 36, inputs=pb.InputBatch(cube=cube))


class _Servicer:
    async def Inference(self, request: pb.InferenceRequest, context: Any) -> pb.InferenceResponse:  # noqa: N802
        return pb.InferenceResponse(outputs={"out": request.inputs.cube})

    SetProfiling = GetProfilingSummary = Inference


@contextmanager
def _server(kind: str) -> Iterator[_Echo]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(kind, theirs), daemon=True)
    process.start()
    try:
        yield _Echo(kind, process.pid or 0, ours.recv())
    finally:
        process.kill()
        process.join()


def _serve(kind: str, pipe: Connection) -> None:
    asyncio.run(_bare(pipe) if kind == "bare" else _wrapped(pipe, tokens="tokens" in kind))


async def _bare(pipe: Connection) -> None:
    bare = bare_server()
    bare.add_generic_rpc_handlers((slice_handler(CUVIS, "inference", _Servicer()),))
    pipe.send(bare.add_insecure_port("127.0.0.1:0"))
    await bare.start()
    await bare.wait_for_termination()


async def _wrapped(pipe: Connection, *, tokens: bool) -> None:
    # Counted, but not scraped.
    from swath.rpc.server.metrics import Metrics

    settings = (
        ServerSettings(port=0, auth="required", tokens={"bench": hash_of(_TOKEN)}) if tokens else ServerSettings(port=0)
    )
    handlers = (slice_handler(CUVIS, "inference", _Servicer()),)
    server = Server(settings, handlers, (CUVIS,), HealthBoard(("inference",)), metrics=Metrics())
    await server.start()
    pipe.send(server.port)
    await asyncio.Event().wait()
