"""One server among those that are compared: started, frozen while another one is measured, and asked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import grpc
import numpy as np

from benchmarks.serving.dialects import Dialect
from benchmarks.serving.works import wrong
from swath.rpc.proxies import NO_PROXY
from swath.runtime.guard import Mark
from swath_suite.process import Process, descendants

START_S = 300.0
"""How long a server may take to its first right answer; one installs plugins first, the first time of all."""
_NOT_YET = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
"""What a server says that does not listen yet, or has not loaded its models."""
OPTIONS = [NO_PROXY, ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class WrongAnswer(Exception):
    """A server answered something else than the bare model does."""


class Side:
    """A server.

    Args:
        process: What runs it.
        target: Address that it listens on.
        dialect: Makes its dialect once it listens; sessions are opened there.
        version: Of the server, for tables.
        note: What a reader must know about it.
        ended: Called after its end.

    Attributes:
        name: For arguments and tables.
        ready_s: From its start to its first right answer.
        held: Bytes of memory that it had then.
    """

    def __init__(
        self,
        process: Process,
        target: str,
        dialect: Callable[[], Dialect],
        *,
        version: str = "",
        note: str = "",
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = process.name
        self.version = version
        self.note = note
        self.target = target
        self.ready_s = 0.0
        self.held = 0
        self.process = process
        self._make_dialect = dialect
        self._dialect: Dialect | None = None
        self._ended = ended

    @property
    def dialect(self) -> Dialect:
        """How it is asked; it has been started."""
        assert self._dialect is not None
        return self._dialect

    @property
    def pids(self) -> list[int]:
        """Its process and all that it has started."""
        return [self.process.pid, *descendants(self.process.pid)]

    def start(self, model: str, x: np.ndarray, right: np.ndarray) -> None:
        """Start it and wait for its first right answer.

        Raises:
            Unavailable: It ended.
            TimedOut: It took too long.
            WrongAnswer: The answer is not the right one.
        """
        self.process.log.unlink(missing_ok=True)
        began = time.perf_counter()
        self.process.start()
        # gRPC waits longer and longer between its tries to connect: one that began too early would be measured with it.
        self.process.wait_until(self._listens, START_S)
        self.process.wait_until(lambda: self._answers(model, x), START_S)
        self.ready_s = time.perf_counter() - began
        self.check(model, self.dialect.request(model, x), right)
        self.held = self.bytes_of("VmRSS")

    def bytes_of(self, field: str) -> int:
        """Return the sum over its processes of a field of /proc/PID/status that is in bytes, or another number."""
        return sum(_status(pid, field) for pid in self.pids)

    def _listens(self) -> bool:
        host, port = self.target.rsplit(":", 1)
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
            return True
        return False

    def _answers(self, model: str, x: np.ndarray) -> bool:
        try:
            self._dialect = self._dialect or self._make_dialect()
            self.call(self.dialect.request(model, x), timeout_s=30.0)
        except grpc.RpcError as error:
            if error.code() not in _NOT_YET:  # pyright: ignore[reportAttributeAccessIssue]
                raise
            return False
        return True

    def call(self, request: bytes, *, method: str | None = None, timeout_s: float = 60.0, calls: int = 1) -> bytes:
        """Send a request, and return the last reply's bytes."""
        reply = b""
        with grpc.insecure_channel(self.target, options=OPTIONS) as channel:
            asked = channel.unary_unary(f"/{method or self.dialect.method}")
            for _ in range(calls):
                reply = asked(request, timeout=timeout_s)
        return reply

    def check(self, model: str, request: bytes, right: np.ndarray) -> None:
        """Send a request and compare the answer.

        Raises:
            WrongAnswer: It is not the right one.
        """
        if fault := wrong(self.dialect.answer(model, self.call(request)), right):
            raise WrongAnswer(f"{self.name}, model {model}: {fault}")

    def freeze(self) -> None:
        """Let all its processes stand still."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def wait(self, model: str, x: np.ndarray, timeout_s: float = 30.0) -> None:
        """Wait until it answers again after it stood still.

        Raises:
            Unavailable: It has ended.
            TimedOut: It does not answer in time.
        """
        self.process.wait_until(lambda: self._answers(model, x), timeout_s)

    def stop(self) -> None:
        """End it, and whatever of its processes is left a while later."""
        if self.process.alive:
            self.thaw()
            running = [mark for pid in self.pids if (mark := Mark.of(pid))]
            self.process.stop(10.0)
            for mark in running:
                if mark.alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(mark.pid, signal.SIGKILL)
        self._ended()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids if self.process.alive else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def installed(environment: Path, package: str) -> str:
    """Return the version of a package in another environment."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    return next(found.version for found in distributions(path=[str(packages)], name=package))


def _status(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * (1024 if line.endswith("kB") else 1)
    return 0
