"""The server that the demo drives: its own, which it may kill, or one that runs already."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from swath.client import Client, UnavailableError

DEFAULT_PORT = 50051
START_S = 60.0


class DemoServer:
    """`swath serve` as a process of its own, with a state folder that is thrown away in the end.

    Use it as a context manager and `start` it. Killing it and starting it again keeps port and state.
    """

    def __init__(self) -> None:
        self.port = DEFAULT_PORT if _is_free(DEFAULT_PORT) else _free_port()
        self.state = Path(tempfile.mkdtemp(prefix="swath-demo-"))
        self._log = self.state / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> DemoServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.state, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it can be reached.

        Raises:
            RuntimeError: It ended, or cannot be reached in time.
        """
        command = [_swath(), "serve", "--port", str(self.port), "--state", str(self.state)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with Client(self.target) as client:
            try:
                client.ready(START_S, connect_s=START_S)
            except UnavailableError:
                raise RuntimeError(f"the server did not start; its last words:\n{self.last_words()}") from None

    def kill(self) -> None:
        """SIGKILL: no goodbye, no flush."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """End of the server's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _swath() -> str:
    beside = Path(sys.executable).with_name("swath")
    found = str(beside) if beside.exists() else shutil.which("swath")
    if found is None:
        raise RuntimeError("the swath command is not installed beside this Python; run: make sync")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
