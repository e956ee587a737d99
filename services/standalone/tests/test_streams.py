"""What the readers of a server's standard streams can do to it: nothing."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc

CALLS = 600
"""Each leaves an audit line; their lines are many times what a pipe holds."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts a server with streams of the test's; gives its process and its address."""
    started: list[subprocess.Popen[str]] = []

    def begin(**streams: Any) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "swath_standalone", "--port", "0", "--state", str(tmp_path / "state")]
        # Under nohup, SIGHUP is ignored by all that is started, and so it should be: not by this server.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            **streams,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        return process, line.partition("listening on ")[2].partition(",")[0]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def test_a_log_that_nobody_reads_stops_neither_calls_nor_health_nor_the_end(start: Callable[..., Any]) -> None:
    process, target = start(stderr=subprocess.PIPE)
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
    with grpc.insecure_channel(target) as channel:
        stub: Any = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub(channel)
        for _ in range(CALLS // 2):
            session = stub.CreateSession(pb.CreateSessionRequest(), timeout=30).session_id
            stub.CloseSession(pb.CloseSessionRequest(session_id=session), timeout=30)
        answer = health.Check(health_pb2.HealthCheckRequest(service="swath.session"), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_drains_when_the_reader_of_its_output_has_gone(start: Callable[..., Any], number: int) -> None:
    process, target = start(stderr=subprocess.DEVNULL)
    process.stdout.close()
    with grpc.insecure_channel(target) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="swath.session")
        watch = health.Watch(request, timeout=60)
        seen = next(watch).status
        while seen != health_pb2.HealthCheckResponse.SERVING:
            seen = next(watch).status
        process.send_signal(number)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert process.wait(60) == 0
