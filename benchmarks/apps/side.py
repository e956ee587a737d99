"""One side of the comparison: its processes, and its client."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from benchmarks.serving.messages import ROOT, Messages, compile_proto
from benchmarks.serving.sides import RAY_VARIABLES, install
from swath.rpc.proxies import NO_PROXY
from swath_suite.process import free_ports

HERE = Path(__file__).parent
PROTO = HERE / "bench.proto"
SERVICE = "/swath.bench.apps.v1.Bench/"
_MARK = "BENCH_APPS_SIDE"
_OPTIONS = [
    NO_PROXY,
    # The time until a server answers is its own, and not that of a client that waits.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


@dataclass(frozen=True)
class Kind:
    """What is compared.

    Attributes:
        name: In tables.
        python: Of its environment.
        cli: The command that serves a config file.
        module: What deployments import.
        variables: Of its processes.
    """

    name: str
    python: str
    cli: tuple[str, ...]
    module: str
    variables: dict[str, str]


def kinds(names: list[str]) -> list[Kind]:
    """Return those of some names; Ray is installed for it."""
    found = []
    if "swath" in names:
        found.append(
            Kind(
                "swath", sys.executable, (str(Path(sys.executable).with_name("swath")), "app", "run"), "swath.serve", {}
            )
        )
    if "ray" in names:
        python = install("ray")
        cli = (str(python.with_name("serve")), "run")
        found.append(Kind("ray", str(python), cli, "ray.serve", RAY_VARIABLES))
    return found


class Side:
    """A side that runs; as a context manager it is stopped, with all processes that it has started.

    Args:
        kind: Which one.
        folder: For its files.
        driver: Whether to serve by a program, which replaces the application when it is told to, in place of the
            config file.
    """

    def __init__(self, kind: Kind, folder: Path, *, driver: bool = False) -> None:
        self.kind = kind
        self._folder = folder
        self.port, http = free_ports(2)
        compile_proto(PROTO, f"--python_out={folder}", f"--grpc_python_out={folder}")
        self.messages = Messages(PROTO, folder)
        if driver:
            self._command = [kind.python, "-m", "benchmarks.apps.driver", str(self.port), str(http)]
        else:
            config = (HERE / "config.yaml").read_text().replace("PORT", str(self.port)).replace("HTTP", str(http))
            (folder / "config.yaml").write_text(config)
            self._command = [*kind.cli, str(folder / "config.yaml")]

    def __enter__(self) -> Self:
        variables = {
            _MARK: str(self.port),
            "BENCH_SERVE": self.kind.module,
            "PYTHONPATH": os.pathsep.join((str(self._folder), str(ROOT))),
            **self.kind.variables,
        }
        self._log = (self._folder / f"{self.kind.name}.log").open("ab")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=ROOT,
            start_new_session=True,
        )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=_OPTIONS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        for pid in self.pids():  # Ray's own processes outlive who has started them
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def call(self, method: str, value: int, application: str = "bench", timeout_s: float = 60.0) -> int:
        """Make a call with one number.

        Raises:
            grpc.RpcError: It failed.
        """
        number = self.messages["swath.bench.apps.v1.Number"]
        call: Any = self.channel.unary_unary(SERVICE + method, number.SerializeToString, number.FromString)
        metadata = (("application", application),)
        return call(number(value=value), metadata=metadata, timeout=timeout_s, wait_for_ready=True).value

    def count(self, messages: int) -> int:
        """Read a stream; return how many messages came."""
        number = self.messages["swath.bench.apps.v1.Number"]
        call: Any = self.channel.unary_stream(SERVICE + "Count", number.SerializeToString, number.FromString)
        return sum(1 for _ in call(number(value=messages), metadata=(("application", "bench"),), timeout=120))

    def until_answered(self, application: str = "bench", timeout_s: float = 120.0) -> float:
        """Call until there is an answer; return the seconds that it took."""
        begin = time.perf_counter()
        while True:
            with contextlib.suppress(grpc.RpcError):
                if self.call("Tiny", 1, application, 60) == 2:
                    return time.perf_counter() - begin
            if time.perf_counter() - begin > timeout_s or self._process.poll() is not None:
                log = (self._folder / f"{self.kind.name}.log").read_text()[-1500:]
                raise RuntimeError(f"{self.kind.name} does not answer: {log}")
            time.sleep(0.02)

    def until_listed(self, applications: int) -> float:
        """Wait until so many applications are listed and the first one answers; return the seconds since the start."""
        listing: Any = self.channel.unary_unary("/ray.serve.RayServeAPIService/ListApplications")
        while True:
            with contextlib.suppress(grpc.RpcError):
                # Each name is a field of its own: a tag, a length, the text.
                if listing(b"", timeout=5, wait_for_ready=True).count(b"\x0a") >= applications:
                    break
            if time.perf_counter() - self.started > 240:
                raise RuntimeError(f"{self.kind.name} does not come up")
            time.sleep(0.02)
        self.until_answered()
        return time.perf_counter() - self.started

    def replace(self) -> None:
        """Have the driver deploy the application anew."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"again\n")
        self._process.stdin.flush()

    def deployed(self) -> int:
        """Return how often the driver has said that it has deployed."""
        return (self._folder / f"{self.kind.name}.log").read_bytes().count(b"deployed\n")

    def pids(self) -> list[int]:
        """Return all of its processes: they have its mark in their environment."""
        mark = f"{_MARK}={self.port}".encode()
        found = []
        for place in Path("/proc").iterdir():
            if place.name.isdecimal():
                with contextlib.suppress(OSError):
                    if mark in (place / "environ").read_bytes().split(b"\0"):
                        found.append(int(place.name))
        return found

    def memory(self) -> tuple[int, int]:
        """Return the bytes that all of its processes have (PSS: shared ones are divided), and how many there are."""
        total, pids = 0, self.pids()
        for pid in pids:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total, len(pids)
