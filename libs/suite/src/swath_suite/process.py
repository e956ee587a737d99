"""One process of a suite: started, frozen, killed and found again by its id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swath.errors import TimedOut, Unavailable
from swath.runtime.guard import GUARD, Mark, tie

_LOWEST_PORT = 10000
_RESERVED_S = 600.0


class Process:
    """A program in the background. It ends with this process, however that ends, unless it is let go.

    Args:
        name: For people and log files.
        command: Program and arguments.
        environment: Variables to add to this process's own.
        log: File that its output is added to.
        folder: Where it runs; where this process does if None.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._mark: Mark | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._mark is not None and self._mark.alive

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            Unavailable: It does not run.
        """
        if self._mark is None:
            raise Unavailable(f"{self.name} does not run")
        return self._mark.pid

    def descendants(self) -> list[int]:
        """Return the ids of the processes that it has started, and of those that they have, and so on."""
        return descendants(self.pid)

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has taken, with all that it has started."""
        return sum(map(_cpu_s, (self.pid, *self.descendants())))

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; see `wait_until` for when it is ready.

        Args:
            environment: Variables in place of its own, this time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=os.environ | self._environment | dict(environment or {}),
                # A terminal's Ctrl-C is for whoever started it, who stops it in order.
                start_new_session=True,
            )
        self._mark = tie(self._child.pid)

    def wait_until(self, ready: Any, timeout_s: float = 120.0) -> None:
        """Wait until `ready()` is true.

        Raises:
            Unavailable: It ended; the message holds its last words.
            TimedOut: It took too long.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive:
                raise Unavailable(f"{self.name} did not start:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise TimedOut(f"{self.name} was not ready within {timeout_s:g} s:\n{self.last_words()}")
            time.sleep(0.05)

    def finish(self, timeout_s: float = 60.0) -> None:
        """Wait for a process that ends by itself.

        Raises:
            Unavailable: It failed; the message holds its last words.
            TimedOut: It took too long.
        """
        if self._gone(timeout_s):
            raise Unavailable(f"{self.name} failed:\n{self.last_words()}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it does not run."""
        if self._mark is not None and self._mark.alive:
            with suppress(ProcessLookupError):
                os.kill(self._mark.pid, number)

    def stop(self, timeout_s: float = 60.0) -> int | None:
        """End it with SIGTERM, after a time with SIGKILL; return its exit status where that is known."""
        return self._end(signal.SIGTERM, timeout_s)

    def interrupt(self, timeout_s: float = 60.0) -> int | None:
        """As `stop`, with SIGINT first."""
        return self._end(signal.SIGINT, timeout_s)

    def _end(self, first: signal.Signals, timeout_s: float) -> int | None:
        self.signal(first)
        self.signal(signal.SIGCONT)
        try:
            return self._gone(timeout_s)
        except TimedOut:
            self.signal(signal.SIGKILL)
            return self._gone(timeout_s)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.signal(signal.SIGKILL)
        self._gone(10.0)

    def restart(self) -> None:
        """Start it anew, in whatever state it is."""
        self.kill()
        self.start()

    def last_words(self, lines: int = 20) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def let_go(self) -> None:
        """Let it outlive this process."""
        if self._mark is not None:
            GUARD.remove(self._mark)

    def record(self) -> dict[str, int] | None:
        """Return what `adopt` takes, as JSON-able data."""
        return None if self._mark is None else asdict(self._mark)

    def adopt(self, record: dict[str, int] | None) -> None:
        """Take charge of the process that another one started."""
        self._mark = None if record is None else Mark(**record)

    def _gone(self, timeout_s: float) -> int | None:
        if self._child is not None:
            try:
                status = self._child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise TimedOut(f"{self.name} did not end within {timeout_s:g} s") from None
            self.let_go()
            return status
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                raise TimedOut(f"{self.name} did not end within {timeout_s:g} s")
            time.sleep(0.05)
        return None


def descendants(pid: int) -> list[int]:
    """Return the ids of the processes that one has started, and of those that they have, and so on."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended meanwhile
            found += [int(child) for child in task.read_text().split()]
    return [*found, *(each for child in found for each in descendants(child))]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile: its parent has its time
        return 0.0
    # Its own in user and system mode, and that of children that have ended.
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback interface."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on, all different.

    They come from below the range that the system gives to outgoing connections and to servers that ask for any port:
    one from that range may be taken before it is listened on, or between a process's death and its restart. One that
    was given to whomever of this user's is not given again for a while.
    """
    candidates = random.sample(range(_LOWEST_PORT, _highest_port()), count * 20)
    mine = filter(_reserve, filter(is_free, candidates))
    free = [port for port, _ in zip(mine, range(count), strict=False)]
    if len(free) < count:
        raise Unavailable(f"{count} free ports are needed on 127.0.0.1, {len(free)} were found")
    return free


def _reserve(port: int) -> bool:
    """Take a port for `_RESERVED_S`, by a file; whether it was to be had."""
    folder = Path(tempfile.gettempdir(), f"swath-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / str(port)
    with suppress(FileNotFoundError):
        if time.time() - file.stat().st_mtime < _RESERVED_S:
            return False
        file.unlink()
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _highest_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return 32768
