"""Processes by id and start time, so that a process id that was given to somebody else is not taken for ours."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Handle:
    """A worker process.

    Attributes:
        pid: Process id.
        started: When it started, as the system writes it; empty where the system does not know.
    """

    pid: int
    started: str

    @property
    def record(self) -> tuple[int, str]:
        """What a run's row keeps of it."""
        return self.pid, self.started

    @property
    def begun(self) -> bool:
        """Whether it can be expected to connect: a process can from its start."""
        return True

    @classmethod
    def of(cls, pid: int) -> Handle:
        """Return the handle of a process that runs now."""
        return cls(pid, _status(pid)[1])

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        state, started = _status(self.pid)
        return state not in ("", "Z", "X") and started == self.started

    def kill(self) -> None:
        """End the process at once, if it still runs."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def exited(self) -> None:
        """Wait until the process has ended; nobody but its parent knows its exit code."""
        await self.gone()

    async def gone(self) -> None:
        """Wait until the process has ended, also where it is not our child."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        except (AttributeError, OSError):  # no such call on this system
            while self.alive:  # noqa: ASYNC110 - nothing notifies of the end of another process's child there
                await asyncio.sleep(_POLL_S)
            return
        try:
            # The id may have been given away before the descriptor was opened.
            if self.alive:
                await readable(descriptor)
        finally:
            os.close(descriptor)


async def readable(descriptor: int) -> None:
    """Wait until a descriptor can be read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _status(pid: int) -> tuple[str, str]:
    """Return a process's state letter and start time; the letter is empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0], fields[19]
    except FileNotFoundError:
        pass
    except (OSError, IndexError):
        return "", ""
    if os.path.isdir("/proc/self"):
        return "", ""
    try:
        os.kill(pid, 0)
    except OSError:
        return "", ""
    return "R", ""
