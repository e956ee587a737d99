"""multiprocessing's fork server, asked by its own two-pipe protocol.

Not through `multiprocessing.Process`, which would import the server's main module again in each worker.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from typing import Protocol

from swath.errors import Unavailable
from swath_training.launch.processes import readable

_FORK_SERVER = forkserver.ForkServer()
"""Apart from multiprocessing's own, so that what else is forked in this process need not wait for torch, nor hold its
memory. One per process: it takes seconds to start."""

_NUMBER_BYTES = 8


class Task(Protocol):
    """What the fork server's child unpickles and runs: the part of multiprocessing's protocol that `Process` plays."""

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """Run; return the exit code."""
        ...


class NoOp:
    """A task that shows that the fork server forks."""

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        return 0


def start(modules: Sequence[str]) -> None:
    """Start the fork server; it goes on importing modules in the background."""
    _FORK_SERVER.set_forkserver_preload([*modules])
    _FORK_SERVER.ensure_running()


async def fork(task: Task) -> tuple[int, int]:
    """Have a process run a task; return its id and the descriptor that its exit code comes through.

    Raises:
        Unavailable: The fork server has died.
    """
    status, data = _FORK_SERVER.connect_to_new_process([])
    try:
        _send(data, task)
        pid = await _number(status)
    except OSError:
        pid = None
    except BaseException:
        os.close(status)
        raise
    if pid is None:
        os.close(status)
        raise Unavailable("the process that starts workers has died; it is started again with the next one")
    return pid, status


def _send(descriptor: int, task: Task) -> None:
    with open(descriptor, "wb") as pipe:
        # The preparation is empty: no main module to import, no path to set.
        pipe.write(pickle.dumps({}) + pickle.dumps(task))


async def exit_code(status: int) -> int | None:
    """Wait for the exit code of a process (negative: the signal), None if the fork server dies before it."""
    try:
        return await _number(status)
    finally:
        os.close(status)


async def _number(descriptor: int) -> int | None:
    """Read one number that the fork server wrote, None if it is gone."""
    data = b""
    while len(data) < _NUMBER_BYTES:
        await readable(descriptor)
        chunk = os.read(descriptor, _NUMBER_BYTES - len(data))
        if not chunk:
            return None
        data += chunk
    return int.from_bytes(data, sys.byteorder, signed=True)
