"""Brings every run to its end: through the queue, from attempt to attempt, past dying workers and restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

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
    WorkerDied,
)
from swath.rpc.tracing import part_of
from swath.sessions.model import Sessions
from swath.storage import ArtifactStore
from swath_training.launch.fork import Launcher, Worker
from swath_training.runs.event_log import EventLog
from swath_training.runs.exit_reason import exit_reason
from swath_training.runs.items import Hello, Item, Line, Release, Stop, Welcome
from swath_training.runs.model import WORKING, Run, RunState, StopCause
from swath_training.runs.store import RunStore, fenced
from swath_training.settings import TrainingSettings
from swath_training.supervise.active_run import ActiveRun, WorkerConnection
from swath_training.supervise.device_queue import DeviceQueue, Ticket
from swath_training.supervise.finalizer import Finalizer

_log = structlog.get_logger("swath.training")

_EXIT_S = 5.0
_LAST_ITEMS_S = 2.0
_RETRY_DELAY_S = 1.0
_AWAY = (Unavailable, StorageRefused, StorageDenied)
"""What a store says that is away, full or locked up: somebody will see to it, and the run goes on then."""


class Supervisor:
    """Drives runs, one task each.

    Args:
        settings: Times and limits.
        store: Runs.
        log: Their event logs.
        sessions: The authority over sessions; a run's result goes there.
        artifacts: Where specifications of runs are.
        launcher: Starts workers.
        note: Makes a serialized TrainResponse of a status name (RUNNING, CANCELLED) and a text.
        shown: Gives a text with the paths in it as clients know them.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        log: EventLog,
        sessions: Sessions,
        artifacts: ArtifactStore,
        launcher: Launcher,
        note: Callable[[str, str], bytes],
        shown: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._artifacts = artifacts
        self._finalizer = Finalizer(store, log, sessions, note)
        self._launcher = launcher
        self._note = note
        self._shown = shown
        self._queue = DeviceQueue()
        self._active_runs: dict[str, ActiveRun] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._draining = False
        self._drained_at = 0.0
        self.address = ""
        self.events = 0

    # What the service asks for

    def begin(self, run: Run) -> None:
        """Take charge of a run that is queued, or that an earlier process of this service had in charge."""
        active = ActiveRun(run.id, run.session_id, run.attempt, run.state, run.stop, stop_at=_now())
        self._active_runs[run.id] = active
        ticket = self._queue.enter(run.id, self._launcher.queue_keys(run))
        active.task = asyncio.create_task(self._drive(active, run, ticket), name=f"run {run.id}")

    async def stop(self, run_id: str, cause: StopCause) -> None:
        """Ask a run to stop, in whosever charge it is; what is over stays as it is. The first cause counts."""
        self.tell(await self._store.ask_stop(run_id, cause))

    def _pass_on(self, active: ActiveRun, cause: StopCause) -> None:
        if active.stop is not None:
            return
        active.stop = cause
        active.stop_at = _now()
        if active.connection is not None:
            active.connection.send(Stop(cause))
        active.changed.set()

    def holds(self, run_id: str) -> bool:
        """Whether a run is in charge here."""
        return run_id in self._active_runs

    def idle(self, devices: Iterable[str]) -> set[str]:
        """Return those of some devices that no run has or waits for."""
        return self._queue.idle(devices)

    def waiting(self) -> dict[str, float]:
        """Return how many runs wait here, by device."""
        return self._queue.waiting()

    @property
    def runs(self) -> set[str]:
        """Ids of the runs in charge here."""
        return set(self._active_runs)

    def tell(self, run: Run) -> None:
        """Take note of a stop that another replica wrote down for a run."""
        active = self._active_runs.get(run.id)
        if active is not None and run.stop is not None and run.state is not RunState.ENDING:
            self._pass_on(active, run.stop)

    def lose(self, run_id: str) -> None:
        """Let go of a run that another replica has taken over; what its worker here still says is refused."""
        active = self._active_runs.get(run_id)
        if active is not None and active.task is not None:
            _log.warning("a run was taken over by another replica", run=run_id)
            if active.worker is not None:
                active.worker.kill()
            active.task.cancel()

    def sessions(self) -> set[str]:
        """Return the ids of the sessions whose runs are in charge here."""
        return {active.session_id for active in self._active_runs.values()}

    async def close_session(self, session_id: str) -> None:
        """End the session's run at once; its memory is free when this returns."""
        active_runs = [active for active in self._active_runs.values() if active.session_id == session_id]
        for active in active_runs:
            active.stop = active.stop or StopCause.SESSION_CLOSED
            active.stop_at = -self._settings.stop_grace_s  # nobody needs its checkpoint: no grace
            active.changed.set()
        await _wait([active.task for active in active_runs if active.task], _EXIT_S)

    async def drain(self) -> None:
        """Have workers write checkpoints and exit; their runs stay queued for the next start."""
        self._draining = True
        self._drained_at = _now()
        for active in self._active_runs.values():
            if active.connection is not None:
                active.connection.send(Stop(StopCause.DRAIN))
            active.changed.set()
        tasks = [active.task for active in self._active_runs.values() if active.task]
        await _wait(tasks, self._settings.drain_s + _EXIT_S)

    async def close(self) -> None:
        """Let go of all runs and workers as they are, as a process that dies does."""
        self._draining = True
        active_runs = list(self._active_runs.values())
        for active in active_runs:
            if active.task is not None:
                active.task.cancel()
            if active.connection is not None:
                active.connection.close(Unavailable("the server goes away"))
        await _wait([active.task for active in active_runs if active.task], _EXIT_S)

    # What workers ask for

    async def welcome(self, hello: Hello, connection: WorkerConnection) -> Welcome:
        """Take the link of a worker.

        Raises:
            RunNotFound: No such run.
            Denied: The token is not that of the attempt.
            AttemptFenced: The attempt is over.
        """
        active, welcome = await self._welcome(hello)
        if active.connection is not None:
            active.connection.close(None)
        active.connection, active.dialled = connection, True
        active.last_heartbeat_at = _now()
        active.changed.set()
        # Without a wait since the Welcome was made: a stop that comes now finds the line, one of before is in there.
        return welcome

    async def welcome_rank(self, hello: Hello) -> Welcome:
        """Tell another process of a worker what the attempt is.

        Raises:
            RunNotFound, Denied, AttemptFenced: As for `welcome`.
        """
        return (await self._welcome(hello))[1]

    async def _welcome(self, hello: Hello) -> tuple[ActiveRun, Welcome]:
        run = await self._store.get(hello.run_id)
        active = self._active_runs.get(run.id)
        if active is None or run.attempt != hello.attempt or run.state not in WORKING:
            raise fenced(run, hello.attempt)
        if not hmac.compare_digest(_digest(hello.token), run.token_digest):
            raise Denied(f"the token is not that of attempt {hello.attempt} of run {run.id}")
        spec = await self._artifacts.get(run.spec_digest)
        checkpoint = await self._store.checkpoint(run.id)
        if active.attempt != hello.attempt:
            raise fenced(run, hello.attempt)
        return active, Welcome(
            trainer=run.trainer,
            trainrun=spec,
            pipeline_digest=run.pipeline_digest,
            weights_digest=run.weights_digest,
            checkpoint_digest=checkpoint.digest if checkpoint else None,
            device=run.device,
            acked_seq=run.item_seq,
            stop=StopCause.DRAIN if self._draining else active.stop,
            logged=run.line_number,
            session_id=run.session_id,
            traceparent=run.traceparent,
        )

    async def receive(self, run_id: str, attempt: int, items: Sequence[Item]) -> None:
        """Write down items; they are on disk when this returns.

        Raises:
            AttemptFenced: The attempt is over.
        """
        run = await self._log.record(run_id, attempt, items)
        self.events += len(items)
        active = self._active_runs.get(run_id)
        if active is not None:
            active.state = run.state
            if run.state not in WORKING:
                active.changed.set()

    async def keep(self, run_id: str, attempt: int, lines: Sequence[Line]) -> bool:
        """Write down what a worker has logged, if that can be; whether it could."""
        try:
            await self._store.lines.append(run_id, attempt, lines)
        except SwathError as error:
            _log.warning("log lines of a worker are not written yet", run=run_id, error=error.message)
            return False
        return True

    def heartbeat(self, run_id: str, attempt: int) -> None:
        """Note a sign of life."""
        active = self._active_runs.get(run_id)
        if active is not None and active.attempt == attempt:
            active.last_heartbeat_at = _now()

    def disconnected(self, run_id: str, connection: WorkerConnection) -> None:
        """Note that a worker's link is gone."""
        active = self._active_runs.get(run_id)
        if active is not None and active.connection is connection:
            active.connection = None
            active.changed.set()

    # The life of a run

    async def _drive(self, active: ActiveRun, run: Run, ticket: Ticket) -> None:
        try:
            with part_of(run.traceparent, session=run.session_id):
                while await self._is_left(active, run, ticket):
                    # Whatever was being written may be there or not: the run as it is now says how to go on.
                    run = await self._read(run.id)
                    active.attempt, active.state, active.stop = run.attempt, run.state, active.stop or run.stop
        except (AttemptFenced, RunNotFound):
            self.lose(run.id)
        finally:
            ticket.leave()
            self._active_runs.pop(run.id, None)

    async def _is_left(self, active: ActiveRun, run: Run, ticket: Ticket) -> bool:
        """Bring a run to its end; whether that is still to be done, because a store or another service was away."""
        try:
            if run.state is RunState.ENDING:
                await self._finalizer.finish(run)
            elif not run.state.over and await self._turn(active, run, ticket):
                await self._attempts(active, run)
        except (AttemptFenced, RunNotFound):
            raise
        except _AWAY as error:
            _log.warning("run stands still for a while", run=run.id, error=error.message)
            return not self._draining
        except Exception as error:
            _log.exception("run failed in the service", run=run.id)
            text = f"Training failed: the service could not drive the run ({type(error).__name__})"
            await self._give_up(run, SwathError(text))
        return False

    async def _give_up(self, run: Run, error: SwathError) -> None:
        """Fail a run, and keep trying while that cannot be written."""
        while True:
            try:
                return await self._finalizer.fail(run, error)
            except _AWAY:
                await asyncio.sleep(_RETRY_DELAY_S)

    async def _read(self, run_id: str) -> Run:
        """Return a run as soon as it can be read."""
        while True:
            await asyncio.sleep(_RETRY_DELAY_S)
            with suppress(*_AWAY):
                return await self._store.get(run_id)

    async def _turn(self, active: ActiveRun, run: Run, ticket: Ticket) -> bool:
        """Wait for the device, telling the position; whether the run may begin."""
        last_notice = 0
        while ticket.position and active.stop is None and not self._draining:
            ticket.moved.clear()
            if ticket.position == last_notice or not await _wait_any(
                self._settings.queue_report_delay_s, active.changed, ticket.moved
            ):
                if ticket.position and ticket.position != last_notice:
                    last_notice = ticket.position
                    text = f"Queued at position {last_notice} for device {run.device}"
                    await self._log.note(run.id, self._note("RUNNING", text))
                await _wait_any(None, active.changed, ticket.moved)
            active.changed.clear()
        if active.stop is not None and run.state is RunState.QUEUED:
            await self._finalizer.cancel(run)
            return False
        return not (self._draining and run.state is RunState.QUEUED)

    async def _attempts(self, active: ActiveRun, run: Run) -> None:
        worker = None
        if run.worker_pid is not None and run.state in WORKING:
            worker = self._launcher.recall((run.worker_pid, run.worker_started))
        if worker is not None and not worker.alive:
            worker = None
        active.worker = worker
        active.dialled = worker is not None  # a worker that an earlier process left dials again soon or never
        while True:
            if worker is None:
                if active.stop is not None:
                    return await self._finalizer.cancel(run)
                if self._draining:
                    return None
                run, worker = await self._launch(active, run)
            active.worker = worker
            code = await self._watch(active, worker) if worker is not None else None
            run = await self._store.get(run.id)
            if run.state is RunState.ENDING:
                await self._finalizer.finish(run)
            if worker is not None:
                await self._release(active, worker)
            worker = None
            if run.state is RunState.QUEUED and not self._draining:
                continue  # drained by an earlier process of this service, as it went away
            if run.state not in WORKING:
                return None
            if active.stop is None and not self._draining and not await self._may_resume(active, run, code):
                return None

    async def _may_resume(self, active: ActiveRun, run: Run, code: int | None) -> bool:
        """Count a worker's death; fail a run whose workers die too often, else wait a little."""
        run = await self._store.died(run.id)
        words = self._shown(exit_reason(code, await self._launcher.words(run)))
        _log.warning("worker died", run=run.id, attempt=run.attempt, error=words)
        if run.fruitless >= self._settings.max_attempts_without_progress or run.attempt >= self._settings.max_attempts:
            times = f"{run.fruitless} times without progress" if run.fruitless else f"in each of {run.attempt} attempts"
            await self._finalizer.fail(run, WorkerDied(f"Training failed: the worker died {times}; {words}"))
            return False
        await self._log.note(run.id, self._note("RUNNING", f"Resuming after the worker died: {exit_reason(code, '')}"))
        active.changed.clear()
        await _wait_any(0.1 * 2**run.fruitless - 0.1, active.changed)
        return True

    async def _launch(self, active: ActiveRun, run: Run) -> tuple[Run, Worker | None]:
        token = secrets.token_urlsafe(32)
        run = await self._store.begin(run.id, _digest(token))
        active.attempt, active.state, active.connection, active.dialled = run.attempt, run.state, None, False
        try:
            worker = await self._launcher.start(
                run, self.address, token, lambda words: self._report_waiting(active, words)
            )
        except (Denied, Precondition) as error:
            await self._finalizer.fail(run, error)
            return await self._store.get(run.id), None
        except Exhausted as error:
            self._report_waiting(active, error.message)
            raise Unavailable(error.message) from error
        except SwathError as error:
            _log.warning("worker not started", run=run.id, attempt=run.attempt, error=error.message)
            return run, None
        try:
            await self._store.worker(run.id, run.attempt, *worker.record)
        except SwathError:
            worker.kill()  # the next attempt, here or elsewhere, would not know of it
            raise
        return run, worker

    def _report_waiting(self, active: ActiveRun, words: str) -> None:
        """Tell those who follow a run why it does not begin, once."""
        if words == active.last_notice:
            return
        active.last_notice = words
        _log.info("a worker has to wait", run=active.run_id, error=words)
        task = asyncio.create_task(self._write_note(active.run_id, words))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write_note(self, run_id: str, words: str) -> None:
        with suppress(SwathError):  # it is said for comfort alone, and a run that has ended needs none
            await self._log.note(run_id, self._note("RUNNING", words))

    async def _watch(self, active: ActiveRun, worker: Worker) -> int | None:
        """Wait until the worker has brought its end to disk, or is dead; return its exit code if it is known."""
        exited = asyncio.create_task(self._launcher.exited(worker))
        since = _now()
        begun = False
        try:
            while active.state in WORKING:
                active.changed.clear()
                if not begun:
                    # One that waits for a place in a cluster may wait, but not for a run that is to stop.
                    begun, since = worker.begun, _now()
                    if not begun and (active.stop is not None or self._draining) and not exited.done():
                        worker.kill()
                        await exited
                if exited.done():
                    # What it said last may still be on its way to the disk.
                    if active.connection is not None and await _wait_any(_LAST_ITEMS_S, active.changed):
                        continue
                    return exited.result()
                deadline = active.deadline(self._settings, since)
                if self._draining:
                    deadline = min(deadline, self._drained_at + self._settings.drain_s)
                patience = deadline - _now()
                if patience <= 0:
                    if active.stop is not StopCause.SESSION_CLOSED:
                        _log.warning(
                            "worker is silent or does not stop: killed", run=active.run_id, worker=worker.record
                        )
                    worker.kill()
                    await exited
                    continue
                changed = asyncio.create_task(active.changed.wait())
                try:
                    await asyncio.wait({exited, changed}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
            return None
        finally:
            exited.cancel()

    async def _release(self, active: ActiveRun, worker: Worker) -> None:
        """Have the worker exit, and wait until its device is free."""
        if active.connection is not None:
            active.connection.send(Release())
        try:
            await asyncio.wait_for(self._launcher.exited(worker), _EXIT_S)
        except TimeoutError:
            worker.kill()
            await self._launcher.exited(worker)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait_any(timeout_s: float | None, *events: asyncio.Event) -> bool:
    """Wait for any of some events; whether one came in time."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)


async def _wait(tasks: Sequence[asyncio.Task[None]], timeout_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
