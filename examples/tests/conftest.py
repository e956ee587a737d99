"""One server for all examples, as a user would start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swath.client import Client

EXAMPLES = Path(__file__).resolve().parents[1]
SCENE = EXAMPLES / "data" / "san_diego.npz"
SWATH = Path(sys.executable).with_name("swath")

Run = Callable[..., str]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Target of a `swath serve` with a state folder of its own."""
    state = tmp_path_factory.mktemp("state")
    log = state / "server.log"
    command = [str(SWATH), "serve", "--port", "0", "--state", str(state)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    listening = re.search(r"listening on (\S+:\d+)", line)
    if listening is None:
        process.kill()
        pytest.fail(f"the server did not start: {line}{log.read_text()}")
    with Client(listening[1]) as client:
        client.ready(timeout_s=90)
    yield listening[1]
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture(scope="session")
def script() -> Run:
    """Runs an example below examples/grpc and returns what it printed."""

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, str(EXAMPLES / "grpc" / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def swath(server: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line against the server."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(SWATH), *map(str, arguments), "--target", server]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    return run
