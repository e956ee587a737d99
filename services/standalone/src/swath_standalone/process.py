"""A standalone server in a process of its own, for demos, tests and benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import CUVIS
from swath.errors import TimedOut, Unavailable
from swath.rpc.proxies import NO_PROXY
from swath.runtime.guard import GUARD, Mark, tie

_SERVING = health_pb2.HealthCheckResponse.SERVING


class ServerProcess:
    """Runs `python -m swath_standalone`; as a context manager, started and stopped.

    It ends with this process, however that ends.

    Args:
        state: State folder; a server started on it again finds everything as it was.
        port: Port to listen on; 0 takes a free one, which later starts keep.
        allow_root: Folders that absolute paths in calls may lead to.
        environment: Variables to add, such as settings.
    """

    def __init__(
        self,
        state: Path,
        *,
        port: int = 0,
        allow_root: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.port = port
        self._allow_root = tuple(allow_root)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[str] | None = None
        self._mark: Mark | None = None

    @property
    def target(self) -> str:
        """Address that clients call."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """File with what the server wrote to its standard error."""
        return self.state / "server.log"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait_for: str | None = CUVIS, timeout_s: float = 60.0) -> Self:
        """Start the server and wait until a service name is SERVING.

        Args:
            wait_for: Name that health must call SERVING; None returns as soon as the server listens.
            timeout_s: Longest wait.

        Raises:
            Unavailable: The server ended; the message holds the end of its log.
            TimedOut: It did not get there in time.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "swath_standalone", "--port", str(self.port), "--state", str(self.state)]
        for folder in self._allow_root:
            command += ["--allow-root", str(folder)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self._environment},
                # A terminal's Ctrl-C is for whoever started it, who stops it in order.
                start_new_session=True,
            )
        self._mark = tie(self._process.pid)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if "listening on" not in line:
            self._reap()
            raise Unavailable(f"the server did not start: {self.log.read_text()[-2000:].strip()}")
        self.port = int(line.split("listening on ")[1].split(",")[0].rsplit(":", 1)[1])
        if wait_for is not None:
            try:
                self.wait(wait_for, timeout_s)
            except BaseException:
                self.kill()
                raise
        return self

    def wait(self, service: str, timeout_s: float = 60.0) -> None:
        """Wait until health calls a service name SERVING.

        Raises:
            TimedOut: It did not in time.
        """
        deadline = time.monotonic() + timeout_s
        with grpc.insecure_channel(self.target, options=[NO_PROXY]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s, wait_for_ready=True)
            try:
                for answer in watch:
                    if answer.status == _SERVING:
                        watch.cancel()
                        return
            except grpc.RpcError as error:
                if time.monotonic() < deadline:
                    raise Unavailable(f"the server went away: {self.log.read_text()[-2000:].strip()}") from error
        raise TimedOut(f"{service or 'the server'} was not SERVING within {timeout_s:g} s")

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def stop(self, timeout_s: float = 60.0) -> int:
        """End the server with SIGTERM and return its exit code once it has drained."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._reap(timeout_s)

    def _reap(self, timeout_s: float | None = None) -> int:
        assert self._process is not None
        code = self._process.wait(timeout_s)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        if self._mark is not None:
            GUARD.remove(self._mark)
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
