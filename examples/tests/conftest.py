"""One server for all examples, as a user would start it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swath.client import Client

# Environments of others' clients are part of the checkout and of no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.oip.clients import environment

EXAMPLES = Path(__file__).resolve().parents[1]
SCENE = EXAMPLES / "data" / "san_diego.npz"
SWATH = Path(sys.executable).with_name("swath")

Run = Callable[..., str]


class Server:
    """A `swath serve` with a state folder of its own; killing it and starting it again keeps port and state."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[str] | None = None
        self.target = "127.0.0.1:0"

    def start(self) -> None:
        port = self.target.rpartition(":")[2]
        command = [str(SWATH), "serve", "--port", port, "--state", str(self._state)]
        log = self._state / "server.log"
        with log.open("ab") as errors:
            process = self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        listening = re.search(r"listening on (\S+:\d+)", line)
        if listening is None:
            self.kill()
            pytest.fail(f"the server did not start: {line}{log.read_text()}")
        self.target = listening[1]

    def kill(self) -> None:
        """SIGKILL."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        """SIGTERM."""
        self._end(lambda process: process.terminate())

    def _end(self, how: Callable[[subprocess.Popen[str]], None]) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            how(process)
            process.wait(30)
            process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Target of a server that all tests of this worker share."""
    shared = Server(tmp_path_factory.mktemp("state"))
    shared.start()
    with Client(shared.target) as client:
        client.ready(timeout_s=90)
    yield shared.target
    shared.stop()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    own = Server(tmp_path)
    own.start()
    with Client(own.target) as client:
        client.ready(timeout_s=90)
    yield own
    own.stop()


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


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Installs another project's client, unless it is there, and returns the Python that has it."""
    return environment.install
