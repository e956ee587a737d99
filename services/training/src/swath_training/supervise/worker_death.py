"""Where a worker's death is noticed, and what decides whether its run goes on.

`wait_for_end` notices: the process is gone, or it is silent for too long and is killed. `ResumePolicy` decides: the
run resumes in another attempt, unless its workers have died too often (`max_attempts_without_progress` in a row that
brought it no further, or `max_attempts` in all).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from swath.errors import WorkerDied
from swath_training.runs.database.store import RunStore
from swath_training.runs.exit_reason import exit_reason
from swath_training.runs.items import EventCodec
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.model import WORKING, Run, StopCause
from swath_training.settings import TrainingSettings
from swath_training.supervise.active_run import ActiveRun
from swath_training.supervise.finalizer import Finalizer
from swath_training.supervise.launcher import Launcher, Worker
from swath_training.supervise.waiting import loop_time, wait_any

_log = structlog.get_logger("swath.training")

_LAST_ITEMS_S = 2.0
_MIN_DELAY_S = 0.1


async def wait_for_end(active: ActiveRun, worker: Worker, settings: TrainingSettings) -> int | None:
    """Wait until the worker has brought its end to disk, or is dead; return its exit code if it is known.

    A worker that does not start in time, is silent for too long, or does not stop when it is asked to is killed; see
    `ActiveRun.deadline`.
    """
    exited = asyncio.create_task(worker.exited())
    since = loop_time()
    begun = False
    try:
        while active.state in WORKING:
            active.changed.clear()
            if not begun:
                # One that waits for a place in a cluster may wait, but not for a run that is to stop.
                begun, since = worker.begun, loop_time()
                if not begun and (active.stop is not None or active.draining) and not exited.done():
                    worker.kill()
                    await exited
            if exited.done():
                # Its last items may still be on their way to the disk.
                if active.connection is not None and await wait_any(_LAST_ITEMS_S, active.changed):
                    continue
                return exited.result()
            left_s = active.deadline(settings, since) - loop_time()
            if left_s <= 0:
                if active.stop is not StopCause.SESSION_CLOSED:
                    _log.warning("worker is silent or does not stop: killed", run=active.run_id, worker=worker.record)
                worker.kill()
                await exited
                continue
            changed = asyncio.create_task(active.changed.wait())
            try:
                await asyncio.wait({exited, changed}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
        return None
    finally:
        exited.cancel()


class ResumePolicy:
    """Decides whether a run goes on after its worker has died.

    Args:
        settings: How often workers may die.
        store: Counts deaths.
        log: Reports on the run's stream that it resumes.
        finalizer: Fails the run.
        launcher: Has the end of what the worker wrote.
        codec: Makes events of the service.
        shown: Gives a text with the paths in it as clients know them.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        log: EventLog,
        finalizer: Finalizer,
        launcher: Launcher,
        codec: EventCodec,
        shown: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._finalizer = finalizer
        self._launcher = launcher
        self._codec = codec
        self._shown = shown

    async def may_resume(self, active: ActiveRun, run: Run, code: int | None) -> bool:
        """Count a worker's death. Fail a run whose workers die too often, else wait a little.

        Args:
            active: The run.
            run: As it is on disk.
            code: The worker's exit code, None if it is not known.

        Returns:
            Whether another attempt shall begin.
        """
        run = await self._store.count_death(run.id)
        reason = self._shown(exit_reason(code, await self._launcher.last_output(run)))
        _log.warning("worker died", run=run.id, attempt=run.attempt, error=reason)
        if self._has_died_too_often(run):
            count = run.attempts_without_progress
            times = f"{count} times without progress" if count else f"in each of {run.attempt} attempts"
            await self._finalizer.fail(run, WorkerDied(f"Training failed: the worker died {times}; {reason}"))
            return False
        note = self._codec.note("RUNNING", f"Resuming after the worker died: {exit_reason(code, '')}")
        await self._log.append_note(run.id, note)
        active.changed.clear()
        await wait_any(_MIN_DELAY_S * (2**run.attempts_without_progress - 1), active.changed)
        return True

    def _has_died_too_often(self, run: Run) -> bool:
        limits = self._settings
        return (
            run.attempts_without_progress >= limits.max_attempts_without_progress or run.attempt >= limits.max_attempts
        )
