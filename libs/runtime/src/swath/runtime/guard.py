"""Processes that end with the one that started them, however that ends: what is killed by SIGKILL can stop nobody.

Linux can have a process killed with its parent, but means the thread that started it, which may end long before; and
it forgets that for a program that changes its user, as that of Postgres. So there is one more process: a pipe tells
it whom to end, and the end of the pipe when.

This file is also that process's program, and imports nothing but the standard library: it starts in 20 ms.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mark:
    """What a process is known by after whoever started it has gone.

    Attributes:
        pid: Its id.
        started: When it started, in clock ticks since the machine did: ids are used again.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Mark | None:
        """Return the mark of a running process, None if there is none, or one that has ended and is not yet reaped."""
        try:
            # The name, in parentheses, may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return Mark.of(self.pid) == self


class Guard:
    """Ends processes, each the leader of its group, with all of their groups, when this process has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe = -1
        self._owner = 0

    def add(self, mark: Mark) -> None:
        """End a process with this one."""
        self._tell(f"+ {mark.pid} {mark.started}\n")

    def remove(self, mark: Mark) -> None:
        """Let a process outlive this one, or forget one that has ended."""
        self._tell(f"- {mark.pid} {mark.started}\n")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._owner != os.getpid():  # none yet, or that of the process which this one was forked from
                self._pipe, self._owner = _started(), os.getpid()
            with contextlib.suppress(BrokenPipeError):  # somebody has killed it: nothing worse than without
                os.write(self._pipe, line.encode())


GUARD = Guard()
"""The one of this process."""


def tie(pid: int) -> Mark | None:
    """End a child with this process, however that ends, and with it its group, which it leads; return its mark.

    None where it has ended already.
    """
    mark = Mark.of(pid)
    if mark is not None:
        GUARD.add(mark)
    return mark


def _started() -> int:
    read, write = os.pipe()
    # A session of its own: what ends a terminal's processes, or a test run's group, leaves it its work. No output of
    # this process: whoever reads that to its end must not wait for the guard's.
    output = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    stdin = (os.POSIX_SPAWN_DUP2, read, 0)
    command = [sys.executable, "-I", __file__]
    os.posix_spawn(sys.executable, command, os.environ, file_actions=[stdin, *output], setsid=True)
    os.close(read)
    return write


def watch(lines: Iterable[str]) -> None:
    """Take lines to their end, and then end the processes that they have named."""
    left: set[Mark] = set()
    for line in lines:
        sign, pid, started = line.split()
        mark = Mark(int(pid), int(started))
        left.add(mark) if sign == "+" else left.discard(mark)
    for mark in left:
        if mark.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(mark.pid, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
