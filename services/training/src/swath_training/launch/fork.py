"""Workers as forks of a process that has everything imported and has never used any of it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from swath.documents import TrainingDocument
from swath_training.launch import fork_server, local_devices
from swath_training.launch.fork_server import Task
from swath_training.launch.processes import Handle
from swath_training.runs.devices import devices_in
from swath_training.runs.model import Run, Trainer

_LAST_OUTPUT_BYTES = 2000


@dataclass(frozen=True)
class ForkedWorker:
    """A worker that this process has had forked.

    Attributes:
        handle: Its process.
        exit_code: Ends with its exit code, None where the fork server died before it.
    """

    handle: Handle
    exit_code: asyncio.Task[int | None]

    @property
    def record(self) -> tuple[int, str]:
        return self.handle.record

    @property
    def begun(self) -> bool:
        return self.handle.begun

    @property
    def alive(self) -> bool:
        return self.handle.alive

    def kill(self) -> None:
        self.handle.kill()

    async def exited(self) -> int | None:
        code = await asyncio.shield(self.exit_code)
        return code if code is not None else await self.handle.exited()


class MakeTask(Protocol):
    """Makes the task of a worker."""

    def __call__(self, *, log: str, address: str, run_id: str, attempt: int, token: str, processes: int) -> Task:
        """Return what the forked process runs.

        Args:
            log: File for what it prints.
            address: Where the service listens.
            run_id: The run.
            attempt: Its attempt.
            token: By which the worker proves who it is.
            processes: How many processes the worker has.
        """
        ...


class ForkLauncher:
    """A `Launcher` of processes on this machine, forked by multiprocessing's fork server.

    Args:
        logs: Folder for what workers and their libraries print, which is what is known of one that dies. Log lines go
            where this process's go.
        make_task: Makes what a worker runs.
        preload: Modules that a worker finds imported.
    """

    def __init__(self, logs: Path, make_task: MakeTask, preload: Sequence[str]) -> None:
        self._logs = logs
        self._make_task = make_task
        self._preload = preload
        self._exits: set[asyncio.Task[int | None]] = set()

    def prepare(self) -> None:
        """Start the fork server; it goes on importing in the background."""
        fork_server.start(self._preload)

    async def warm_up(self) -> None:
        # The fork server answers once it has imported what it must.
        _, status = await fork_server.fork(fork_server.NoOp())
        await fork_server.exit_code(status)

    def device_of(self, trainer: Trainer, training: TrainingDocument | None) -> str:
        return local_devices.device_of(trainer, training)

    def devices(self) -> tuple[str, ...]:
        return local_devices.devices()

    def queue_keys(self, run: Run) -> Collection[str]:
        return set(devices_in(run.device))

    async def start(self, run: Run, address: str, token: str, notify: Callable[[str], None]) -> ForkedWorker:
        log = self._log(run)
        log.parent.mkdir(parents=True, exist_ok=True)
        task = self._make_task(
            log=str(log),
            address=address,
            run_id=run.id,
            attempt=run.attempt,
            token=token,
            processes=len(devices_in(run.device)),
        )
        pid, status = await fork_server.fork(task)
        worker = ForkedWorker(Handle.of(pid), asyncio.create_task(fork_server.exit_code(status)))
        self._exits.add(worker.exit_code)
        worker.exit_code.add_done_callback(self._exits.discard)
        return worker

    def recall(self, record: tuple[int, str]) -> Handle:
        return Handle(*record)

    async def last_output(self, run: Run) -> str:
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
        watches = list(self._exits)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        self._exits.clear()

    def _log(self, run: Run) -> Path:
        return self._logs / run.id / f"{run.attempt}.log"
