"""Drives one run to its end: through the queue for its device, and from attempt to attempt."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass

import structlog

from swath.errors import (
    AttemptFenced,
    Denied,
    Exhausted,
    Precondition,
    RunNotFound,
    StorageDenied,
    StorageRefused,
    SwathError,
    Unavailable,
)
from swath.retry import Retry
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import EventCodec, Release
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.model import WORKING, Run, RunState
from swath_training.settings import TrainingSettings
from swath_training.supervise.active_run import ActiveRun
from swath_training.supervise.device_queue import Ticket
from swath_training.supervise.finalizer import Finalizer
from swath_training.supervise.launcher import Launcher, Worker
from swath_training.supervise.waiting import wait_any
from swath_training.supervise.worker_death import ResumePolicy, wait_for_end

_log = structlog.get_logger("swath.training")

_EXIT_S = 30.0
_AWAY = (Unavailable, StorageRefused, StorageDenied)
"""Errors of a store that is away, full or locked up: an operator will see to it, and the run goes on then."""
_STORE_AWAY = Retry(on=_AWAY, initial_s=1.0, max_s=2.0)


@dataclass(frozen=True)
class DriverParts:
    """What all drivers of a replica share.

    Attributes:
        settings: Times and limits.
        store: Runs.
        log: Their event logs.
        finalizer: Ends runs.
        resume_policy: Decides whether a run goes on after its worker has died.
        launcher: Starts workers.
        codec: Makes events of the service.
        worker_address: Where workers connect to.
    """

    settings: TrainingSettings
    store: RunStore
    log: EventLog
    finalizer: Finalizer
    resume_policy: ResumePolicy
    launcher: Launcher
    codec: EventCodec
    worker_address: str


class RunDriver:
    """Drives one run.

    Args:
        parts: What it works with.
        active: The run.
        ticket: Its place in the queue for its device.
    """

    def __init__(self, parts: DriverParts, active: ActiveRun, ticket: Ticket) -> None:
        self._settings = parts.settings
        self._store = parts.store
        self._log = parts.log
        self._finalizer = parts.finalizer
        self._resume_policy = parts.resume_policy
        self._launcher = parts.launcher
        self._codec = parts.codec
        self._worker_address = parts.worker_address
        self._active = active
        self._ticket = ticket
        self._notes: set[asyncio.Task[None]] = set()
        self._last_note = ""

    async def drive(self, run: Run) -> None:
        """Bring the run to its end, or as far as it comes before this server goes away.

        Raises:
            AttemptFenced: Another replica has taken it over.
            RunNotFound: It is gone.
        """
        while await self._is_left(run):
            # Whatever was being written may be there or not: the run as it is now shows how to go on.
            run = await self._read(run.id)
            self._active.take_state(run)

    async def _is_left(self, run: Run) -> bool:
        """Bring the run to its end; whether that is still to be done, because a store or another service was away."""
        try:
            if run.state is RunState.ENDING:
                await self._finalizer.finish(run)
            elif not run.state.over and await self._wait_for_device(run):
                await self._run_attempts(run)
        except (AttemptFenced, RunNotFound):
            raise
        except _AWAY as error:
            _log.warning("run stands still for a while", run=run.id, error=error.message)
            return not self._active.draining
        except Exception as error:
            _log.exception("run failed in the service", run=run.id)
            text = f"Training failed: the service could not drive the run ({type(error).__name__})"
            await self._give_up(run, SwathError(text))
        return False

    async def _give_up(self, run: Run, error: SwathError) -> None:
        """Fail the run, and keep trying while that cannot be written."""
        await _STORE_AWAY.call_async(lambda: self._finalizer.fail(run, error))

    async def _read(self, run_id: str) -> Run:
        """Return the run as soon as it can be read."""
        await asyncio.sleep(_STORE_AWAY.initial_s)
        return await _STORE_AWAY.call_async(lambda: self._store.get(run_id))

    async def _wait_for_device(self, run: Run) -> bool:
        """Wait for the device, reporting the position in its queue; whether the run may begin."""
        active, ticket = self._active, self._ticket
        reported = 0
        while ticket.position and active.stop is None and not active.draining:
            ticket.moved.clear()
            if ticket.position == reported or not await wait_any(
                self._settings.queue_report_delay_s, active.changed, ticket.moved
            ):
                if ticket.position and ticket.position != reported:
                    reported = ticket.position
                    text = f"Queued at position {reported} for device {run.device}"
                    await self._log.append_note(run.id, self._codec.note("RUNNING", text))
                await wait_any(None, active.changed, ticket.moved)
            active.changed.clear()
        if active.stop is not None and run.state is RunState.QUEUED:
            await self._finalizer.cancel(run)
            return False
        return not (active.draining and run.state is RunState.QUEUED)

    async def _run_attempts(self, run: Run) -> None:
        active = self._active
        worker = self._recall(run)
        active.has_connected = worker is not None  # one that an earlier process left connects again soon or never
        while True:
            if worker is None:
                if active.stop is not None:
                    return await self._finalizer.cancel(run)
                if active.draining:
                    return None
                run, worker = await self._launch(run)
            active.worker = worker
            code = await wait_for_end(active, worker, self._settings) if worker is not None else None
            run = await self._store.get(run.id)
            if run.state is RunState.ENDING:
                await self._finalizer.finish(run)
            if worker is not None:
                await self._release(worker)
            worker = None
            if run.state is RunState.QUEUED and not active.draining:
                continue  # drained by an earlier process of this service, as it went away
            if run.state not in WORKING:
                return None
            if (
                active.stop is None
                and not active.draining
                and not await self._resume_policy.may_resume(active, run, code)
            ):
                return None

    def _recall(self, run: Run) -> Worker | None:
        """Return the worker that an earlier process of this service has left, if it still runs."""
        if run.worker_pid is None or run.state not in WORKING:
            return None
        worker = self._launcher.recall((run.worker_pid, run.worker_started))
        return worker if worker is not None and worker.alive else None

    async def _launch(self, run: Run) -> tuple[Run, Worker | None]:
        active = self._active
        token = secrets.token_urlsafe(32)
        run = await self._store.begin(run.id, token_digest(token))
        active.attempt, active.state, active.connection, active.has_connected = run.attempt, run.state, None, False
        try:
            worker = await self._launcher.start(run, self._worker_address, token, self._report_waiting)
        except (Denied, Precondition) as error:
            await self._finalizer.fail(run, error)
            return await self._store.get(run.id), None
        except Exhausted as error:
            self._report_waiting(error.message)
            raise Unavailable(error.message) from error
        except SwathError as error:
            _log.warning("worker not started", run=run.id, attempt=run.attempt, error=error.message)
            return run, None
        try:
            await self._store.set_worker(run.id, run.attempt, *worker.record)
        except SwathError:
            worker.kill()  # the next attempt, here or elsewhere, would not know of it
            raise
        return run, worker

    async def _release(self, worker: Worker) -> None:
        """Have the worker exit, and wait until its device is free."""
        if self._active.connection is not None:
            self._active.connection.send(Release())
        try:
            await asyncio.wait_for(worker.exited(), _EXIT_S)
        except TimeoutError:
            worker.kill()
            await worker.exited()

    def _report_waiting(self, reason: str) -> None:
        """Report on the run's stream why it does not begin, once."""
        if reason == self._last_note:
            return
        self._last_note = reason
        _log.info("a worker has to wait", run=self._active.run_id, error=reason)
        task = asyncio.create_task(self._append_note(reason))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _append_note(self, text: str) -> None:
        with suppress(SwathError):  # nothing depends on it, and a run that has ended needs none
            await self._log.append_note(self._active.run_id, self._codec.note("RUNNING", text))


def token_digest(token: str) -> str:
    """Return the form in which the token of a worker is kept."""
    return hashlib.sha256(token.encode()).hexdigest()
