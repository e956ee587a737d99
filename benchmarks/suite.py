"""What calls cost a suite, process by process: CPU time, which does not depend on what else the machine does."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.harness import Row
from swath.api import CUVIS
from swath.client import Client, Session
from swath.client.calls import infer
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.layout import SERVICES
from swath_suite.suite import Suite
from swath_suite.workload import fitted, scene

CALLERS = 16
SECONDS = 6.0


@dataclass(frozen=True)
class Work:
    """Calls made over and over.

    Attributes:
        name: What they are.
        requests: By method, made one after the other.
    """

    name: str
    requests: Mapping[str, Any]


def measure() -> list[Row]:
    with _suite() as suite, Client(suite.target) as client:
        session = fitted(client)
        rows = [_row(suite, work) for work in _works(session)]
        rows.append(_runs(suite, session))
        memory = {part: _resident_mb(suite, part) for part in SERVICES}
    rows.append(Row("memory of a replica", ", ".join(f"{part} {size:.0f} MB" for part, size in memory.items())))
    return rows


@contextmanager
def _suite() -> Iterator[Suite]:
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder:
        # Postgres may run as another user.
        Path(folder).chmod(0o755)
        with Suite(Path(folder), replicas=dict.fromkeys(SERVICES, 1)) as suite:
            yield suite


def _works(session: Session) -> Iterator[Work]:
    cube, wavelengths = scene()

    def inference(pixels: int) -> pb.InferenceRequest:
        given = {"cube": cube[:, :pixels, :pixels], "wavelengths": wavelengths}
        return infer(session.id, given, ["scores"]).request

    yield Work("open and close a session", {"CreateSession": pb.CreateSessionRequest(), "CloseSession": None})
    yield Work(
        "SetSessionSearchPaths", {"SetSessionSearchPaths": pb.SetSessionSearchPathsRequest(session_id=session.id)}
    )
    yield Work("ListAvailablePipelines", {"ListAvailablePipelines": pb.ListAvailablePipelinesRequest()})
    yield Work(
        "ResolveConfig",
        {
            "ResolveConfig": pb.ResolveConfigRequest(
                session_id=session.id, config_type="trainrun", path="trainrun/san_diego_rx"
            )
        },
    )
    yield Work("GetPipelineInputs", {"GetPipelineInputs": pb.GetPipelineInputsRequest(session_id=session.id)})
    yield Work("GetTrainStatus", {"GetTrainStatus": pb.GetTrainStatusRequest(session_id=session.id)})
    yield Work("Inference, RX of 10 x 10 pixels (76 kB)", {"Inference": inference(10)})
    yield Work("Inference, RX of the scene (7.6 MB)", {"Inference": inference(100)})


def _row(suite: Suite, work: Work) -> Row:
    asyncio.run(_repeat(suite.target, work, 1.0))
    before = _cpu(suite)
    started = time.perf_counter()
    calls = asyncio.run(_repeat(suite.target, work, SECONDS))
    seconds = time.perf_counter() - started
    return Row(work.name, f"{calls / seconds:.0f}/s; CPU each: {_spent(before, _cpu(suite), calls)}")


async def _repeat(target: str, work: Work, seconds: float) -> int:
    """Make the calls for a time and return how often all of them were made."""
    until = time.perf_counter() + seconds
    done = 0
    async with grpc.aio.insecure_channel(target, [("grpc.max_receive_message_length", -1)]) as channel:

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() < until:
                answer: Any = None
                for method, request in work.requests.items():
                    # What closes a session is about the one that was just opened.
                    given = request or pb.CloseSessionRequest(session_id=answer.session_id)
                    read = getattr(pb, f"{method}Response").FromString
                    call: Any = channel.unary_unary(f"/{CUVIS}/{method}", type(given).SerializeToString, read)
                    answer = await call(given)
                done += 1

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done


def _runs(suite: Suite, session: Session, runs: int = 5) -> Row:
    before = _cpu(suite)
    started = time.perf_counter()
    for _ in range(runs):
        for _ in session.train("statistical"):
            pass
    seconds = (time.perf_counter() - started) / runs
    return Row("Train, RX of the scene", f"{seconds:.2f} s; CPU each: {_spent(before, _cpu(suite), runs)}")


def _cpu(suite: Suite) -> dict[str, float]:
    """Return the CPU seconds of each part so far."""
    spent = {part: suite.replicas(part)[0].cpu_s() for part in SERVICES}
    return spent | {
        "gateway": suite.processes["gateway"].cpu_s(),
        "postgres": suite.postgres.cpu_s(),
        "s3": suite.s3.cpu_s(),
    }


def _spent(before: Mapping[str, float], after: Mapping[str, float], calls: int) -> str:
    each = {part: 1e3 * (after[part] - before[part]) / calls for part in after}
    # What goes on without any call, probes for instance, is below that.
    told = [f"{part} {ms:.2g} ms" for part, ms in sorted(each.items(), key=lambda item: -item[1]) if ms >= 0.03]
    return ", ".join(told)


def _resident_mb(suite: Suite, part: str) -> float:
    replica = suite.replicas(part)[0]
    fields = [Path(f"/proc/{pid}/statm").read_text().split() for pid in (replica.pid, *replica.descendants())]
    # What processes share with the one that they were forked from counts once.
    pages = int(fields[0][1]) + sum(int(each[1]) - int(each[2]) for each in fields[1:])
    return pages * 4096 / 1e6
