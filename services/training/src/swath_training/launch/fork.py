"""How workers come to be: as forks of a process that has everything imported and has never used any of it."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Protocol

from swath.documents import TrainingDocument
from swath.errors import Unavailable
from swath.runtime.logs import Telemetry
from swath_training.api.requests import device_of, devices
from swath_training.launch.processes import Handle, readable
from swath_training.runs.devices import devices_in
from swath_training.runs.model import Run, Trainer

PRELOAD = ("swath_training.worker.preload",)
"""Modules that a worker finds imported."""

_FORK_SERVER = forkserver.ForkServer()
"""Apart from multiprocessing's own, so that what else is forked in this process need not wait for torch, nor hold its
memory. One a process: it takes seconds to start."""

Notify = Callable[[str], None]

_NUMBER_BYTES = 8
_LAST_OUTPUT_BYTES = 2000


class Worker(Protocol):
    """The worker of an attempt, wherever it runs."""

    @property
    def record(self) -> tuple[int, str]:
        """What a run's row keeps of it, so that a later life of this service finds it again."""
        ...

    @property
    def begun(self) -> bool:
        """Whether it has started to run: before that it cannot be expected to dial."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it may still run."""
        ...

    def kill(self) -> None:
        """End it, if it still runs."""
        ...


class Launcher(Protocol):
    """Starts workers, knows how they ended, and which devices there are for them."""

    def prepare(self) -> None:
        """Get ready to start workers fast. Called before any gRPC object exists."""
        ...

    async def warm_up(self) -> None:
        """Wait until a worker can be started without delay.

        Raises:
            Unavailable: None can be started.
        """
        ...

    def device_of(self, trainer: Trainer, training: TrainingDocument | None) -> str:
        """Return what a run is to run on, as `places` writes it. Blocks: call it in a thread.

        Raises:
            InvalidInput: There is no such device.
        """
        ...

    def devices(self) -> Collection[str] | None:
        """Return what this replica has for runs, None if it can start any run. Blocks: call it in a thread."""
        ...

    def queue_keys(self, run: Run) -> Collection[str]:
        """Return what a run waits for: runs that share a lane run one after the other."""
        ...

    async def start(self, run: Run, address: str, token: str, tell: Notify) -> Worker:
        """Start the worker of a run's present attempt.

        Args:
            run: The run.
            address: Where the worker dials.
            token: By which it proves who it is.
            tell: Takes what there is to say, for people, while the worker has not begun.

        Raises:
            Unavailable, Exhausted: It cannot be started now.
            Denied, Precondition: It never can until somebody changes the installation.
        """
        ...

    def recall(self, record: tuple[int, str]) -> Worker | None:
        """Return the worker that an earlier life of this service recorded, None if there is none to find."""
        ...

    async def exited(self, worker: Worker) -> int | None:
        """Wait until a worker is gone; return its exit code (negative: the signal), None if nobody can know it."""
        ...

    async def words(self, run: Run) -> str:
        """Return the last of what the worker of a run's present attempt wrote."""
        ...

    def forget(self, run_ids: Iterable[str]) -> None:
        """Remove what workers of these runs wrote."""
        ...

    async def close(self) -> None:
        """Watch workers no more; they go on."""
        ...


class ForkLauncher:
    """Starts workers on this machine from multiprocessing's fork server.

    The fork server is asked by its own two-pipe protocol (`forkserver.connect_to_new_process`) and not through
    `multiprocessing.Process`, which would import the server's main module again in each worker.

    Args:
        logs: Folder for what workers and their libraries print, which is what is known of one that dies. Log lines go
            where this process's go.
        telemetry: Form of those lines, and where spans go.
    """

    def __init__(self, logs: Path, telemetry: Telemetry | None = None) -> None:
        self._logs = logs
        self._telemetry = telemetry or Telemetry()
        self._exits: dict[Handle, asyncio.Task[int | None]] = {}

    def prepare(self) -> None:
        """Start the fork server; it goes on importing in the background."""
        exporter = ("swath.runtime.otlp_exporter",) if self._telemetry.otlp_address else ()
        _FORK_SERVER.set_forkserver_preload([*PRELOAD, *exporter])
        _FORK_SERVER.ensure_running()

    async def warm_up(self) -> None:
        # The fork server answers once it has imported what it must.
        _, status = await self._fork(_NoOp())
        await _exit_code(status)

    def device_of(self, trainer: Trainer, training: TrainingDocument | None) -> str:
        return device_of(trainer, training)

    def devices(self) -> tuple[str, ...]:
        return devices()

    def queue_keys(self, run: Run) -> Collection[str]:
        return set(devices_in(run.device))

    async def start(self, run: Run, address: str, token: str, tell: Notify) -> Handle:
        log = self._log(run)
        log.parent.mkdir(parents=True, exist_ok=True)
        processes = len(devices_in(run.device))
        task = _ForkTask(str(log), address, run.id, run.attempt, token, self._telemetry, processes)
        pid, status = await self._fork(task)
        handle = Handle.of(pid)
        self._exits[handle] = asyncio.create_task(_exit_code(status))
        return handle

    async def _fork(self, task: _NoOp | _ForkTask) -> tuple[int, int]:
        """Have a process run an errand; return its id and the descriptor that its exit code comes through."""
        status, data = _FORK_SERVER.connect_to_new_process([])
        try:
            _send_task(data, task)
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

    def recall(self, record: tuple[int, str]) -> Handle:
        return Handle(*record)

    async def exited(self, worker: Worker) -> int | None:
        handle = Handle(*worker.record)
        if handle in self._exits:
            code = await asyncio.shield(self._exits[handle])
            if code is not None:
                self._exits.pop(handle, None)
                return code
        await handle.gone()
        self._exits.pop(handle, None)
        return None

    async def words(self, run: Run) -> str:
        try:
            with self._log(run).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_OUTPUT_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def forget(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            shutil.rmtree(self._logs / run_id, ignore_errors=True)

    async def close(self) -> None:
        watches = list(self._exits.values())
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        self._exits.clear()

    def _log(self, run: Run) -> Path:
        return self._logs / run.id / f"{run.attempt}.log"


class _NoOp:
    """Shows that the fork server forks."""

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        return 0


@dataclass(frozen=True)
class _ForkTask:
    """What the fork server's child unpickles and runs: the part of multiprocessing's protocol that `Process` plays."""

    log: str
    address: str
    run_id: str
    attempt: int
    token: str
    telemetry: Telemetry
    processes: int

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        # A session of its own: an interrupt from the terminal is for the server, which then asks workers to stop.
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Log lines go where the service's go; what is printed beside them is kept for the worker's last words.
        lines = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")  # when memory runs out, a worker goes before its server
        try:
            from swath_training.link import client
            from swath_training.worker import attempt, local_ranks, rank_worker

            arguments = (client.local(self.address), self.run_id, self.attempt, self.token, self.telemetry, lines)
            # Before there is a thread here: the others are forks of this process as it was forked itself.
            rank_info, others = local_ranks.fork(self.processes)
            if rank_info is not None and rank_info.rank:
                return rank_worker.main(*arguments, rank_info)
            return attempt.main(*arguments, rank_info, others)
        except BaseException:
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def _send_task(descriptor: int, task: _NoOp | _ForkTask) -> None:
    with open(descriptor, "wb") as pipe:
        # The preparation is empty: no main module to import, no path to set.
        pipe.write(pickle.dumps({}) + pickle.dumps(task))


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


async def _exit_code(status: int) -> int | None:
    try:
        return await _number(status)
    finally:
        os.close(status)
