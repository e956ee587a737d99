"""What happens in which order between the start and the end of a process that serves."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from swath_suite.process import free_ports

PROGRAM = """
import asyncio, os, sys
import swath.runtime.serving as serving
from swath.errors import SwathError, Unavailable
from swath.runtime.assembly import Assembly
from swath.runtime.settings import ServerSettings

def say(*words):
    print(*words, flush=True)

def note(*words):
    async def do():
        say(*words)
        if " ".join(words) == sys.argv[1]:
            raise Unavailable("the database is away")
    return do

def service(name, stack):
    stack.push_async_callback(note("close", name))
    return Assembly(
        service=name, handlers=(), names=(), start=note("start", name), warm_up=note("warm up", name),
        drain=note("drain", name), metrics=lambda metrics: say("metrics", name),
    )

def configure_tracing(service, address, replica):
    say("trace", service)
    return lambda: say("flush")

def build(stack):
    say("build")
    return [service("session", stack), service("training", stack)]

class Board(serving.HealthBoard):
    async def set_ready(self, part, ready=True):
        await super().set_ready(part, ready)
        say("ready", part)
    async def drain(self):
        await super().drain()
        say("health off")

serving.configure_tracing = configure_tracing
serving.HealthBoard = Board
settings = ServerSettings(port=0, metrics_port=int(sys.argv[2]), drain_lag_s=0.0)
try:
    asyncio.run(serving.serve(settings, serving.Program(title="it", service="all"), build))
except SwathError as error:
    say("failed:", error.message)
say("end")
"""


def run(failing: str = "", *, metrics_port: int = 0, until: str) -> list[str]:
    """Run the program, in which one step may fail, end it by SIGTERM after a line, and return its lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, failing, str(metrics_port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    with process.stdout:
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == until:
                process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    return [line.partition(" on ")[0] for line in lines]


START = ["build", "trace all", "start session", "start training", "it: listening"]
END = ["drain session", "drain training", "close training", "close session", "flush", "end"]


def test_services_close_in_the_reverse_order_and_spans_are_sent_at_the_very_end() -> None:
    ready = ["warm up session", "ready session", "warm up training", "ready training"]
    lines = run(until="ready training")
    assert lines == [*START, *ready, "it: draining", "health off", *END]


def test_a_service_that_does_not_warm_up_is_not_ready_and_keeps_nobody_back() -> None:
    lines = run("warm up session", until="ready training")
    assert "ready session" not in lines
    assert lines[-len(END) :] == END


def test_what_has_started_is_closed_when_another_service_cannot() -> None:
    lines = run("start training", until="never")
    assert lines == [*START[:-1], "close training", "close session", "flush", "failed: the database is away", "end"]


@pytest.mark.parametrize("metrics_port", [0, None])
def test_metrics_are_registered_where_there_is_a_port_for_them(metrics_port: int | None) -> None:
    lines = run(metrics_port=free_ports(1)[0] if metrics_port is None else 0, until="ready training")
    wanted = [] if metrics_port == 0 else ["metrics session", "metrics training"]
    assert [line for line in lines if line.startswith("metrics")] == wanted
