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
from swath.api import CUVIS, SERVICE_NAMES
from swath.client import Client, Session
from swath.client.calls import infer
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.suite import Suite
from swath_suite.testing.workload import fitted, scene

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
        idle = _idle(suite)
        rows = [_row(suite, work, idle) for work in _works(session)]
        rows.append(_runs(suite, session, idle))
        memory = {part: _resident_mb(suite, part) for part in SERVICE_NAMES}
    rows.append(Row("memory of a replica", ", ".join(f"{part} {size:.0f} MB" for part, size in memory.items())))
    return rows


@contextmanager
def _suite() -> Iterator[Suite]:
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder:
        # Postgres may run as another user.
        Path(folder).chmod(0o755)
        with Suite(Path(folder), replicas=dict.fromkeys(SERVICE_NAMES, 1)) as suite:
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


def _row(suite: Suite, work: Work, idle: Mapping[str, float]) -> Row:
    asyncio.run(_repeat(suite.target, work, 1.0))
    clock = _Clock(suite, idle)
    calls = asyncio.run(_repeat(suite.target, work, SECONDS))
    seconds, spent = clock.stop(calls)
    return Row(work.name, f"{calls / seconds:.0f}/s; CPU each: {spent}")


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


def _runs(suite: Suite, session: Session, idle: Mapping[str, float], runs: int = 5) -> Row:
    clock = _Clock(suite, idle)
    for _ in range(runs):
        for _ in session.train("statistical"):
            pass
    seconds, spent = clock.stop(runs)
    return Row("Train, RX of the scene", f"{seconds / runs:.2f} s; CPU each: {spent}")


def _idle(suite: Suite, seconds: float = 10.0) -> dict[str, float]:
    """Return the CPU seconds that each part takes in a second without calls: probes, leases, sweeps."""
    before = _cpu(suite)
    time.sleep(seconds)
    return {part: (after - before[part]) / seconds for part, after in _cpu(suite).items()}


class _Clock:
    """CPU time of each part from now on, beyond what it takes without calls."""

    def __init__(self, suite: Suite, idle: Mapping[str, float]) -> None:
        self._suite = suite
        self._idle = idle
        self._before = _cpu(suite)
        self._started = time.perf_counter()

    def stop(self, calls: int) -> tuple[float, str]:
        """Return the seconds since, and the CPU time of each call as text."""
        seconds, after = time.perf_counter() - self._started, _cpu(self._suite)
        spent = {part: after[part] - self._before[part] - seconds * self._idle[part] for part in after}
        each = sorted(((1e3 * cpu_s / calls, part) for part, cpu_s in spent.items()), reverse=True)
        # A hundredth of a second is the least that the system tells.
        return seconds, ", ".join(f"{part} {ms:.2g} ms" for ms, part in each if ms * calls > 100 and ms >= 0.02)


def _cpu(suite: Suite) -> dict[str, float]:
    """Return the CPU seconds of each part so far."""
    return {
        **{part: suite.replicas(part)[0].cpu_s() for part in SERVICE_NAMES},
        "gateway": suite.processes["gateway"].cpu_s(),
        "postgres": suite.postgres.cpu_s(),
        "s3": suite.s3.cpu_s(),
    }


def _resident_mb(suite: Suite, part: str) -> float:
    replica = suite.replicas(part)[0]
    fields = [Path(f"/proc/{pid}/statm").read_text().split() for pid in (replica.pid, *replica.descendants())]
    # What processes share with the one that they were forked from counts once.
    pages = int(fields[0][1]) + sum(int(each[1]) - int(each[2]) for each in fields[1:])
    return pages * 4096 / 1e6
