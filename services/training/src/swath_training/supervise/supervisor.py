"""The runs that this replica drives, and what may happen to them from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from swath.errors import AttemptFenced, RunNotFound, Unavailable
from swath.rpc.tracing import part_of
from swath.sessions.model import Sessions
from swath.storage import ArtifactStore
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import EventCodec
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.logs.log_stream import LogStream
from swath_training.runs.model import Run, RunState, StopCause
from swath_training.settings import TrainingSettings
from swath_training.supervise.active_run import ActiveRun
from swath_training.supervise.device_queue import DeviceQueue, Ticket
from swath_training.supervise.finalizer import Finalizer
from swath_training.supervise.launcher import Launcher
from swath_training.supervise.run_driver import DriverParts, RunDriver
from swath_training.supervise.waiting import loop_time
from swath_training.supervise.worker_death import ResumePolicy
from swath_training.supervise.worker_reports import WorkerReports

_log = structlog.get_logger("swath.training")

_EXIT_S = 5.0


class Supervisor:
    """Holds the runs that this replica drives, one task each (`RunDriver`).

    Args:
        settings: Times and limits.
        store: Runs.
        log: Their event logs.
        lines: Their log lines.
        sessions: The authority over sessions; a run's result goes there.
        artifacts: Where specifications of runs are.
        launcher: Starts workers.
        codec: Reads events of workers, and makes those of the service.
        shown: Gives a text with the paths in it as clients know them.
        worker_address: Where workers connect to.

    Attributes:
        reports: Takes in what workers report.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        log: EventLog,
        lines: LogStream,
        sessions: Sessions,
        artifacts: ArtifactStore,
        launcher: Launcher,
        codec: EventCodec,
        shown: Callable[[str], str],
        worker_address: str,
    ) -> None:
        self._settings = settings
        self._store = store
        self._launcher = launcher
        finalizer = Finalizer(store, log, sessions, codec)
        resume_policy = ResumePolicy(settings, store, log, finalizer, launcher, codec, shown)
        self._parts = DriverParts(
            settings, store, log, finalizer, resume_policy, launcher, codec, worker_address=worker_address
        )
        self._queue = DeviceQueue()
        self._active_runs: dict[str, ActiveRun] = {}
        self._drain_at: float | None = None
        self.reports = WorkerReports(store, log, lines, artifacts, self._active_runs)

    # Runs

    def begin(self, run: Run) -> None:
        """Drive a run that is queued, or that an earlier process of this service has driven."""
        active = ActiveRun(
            run.id, run.session_id, run.attempt, run.state, run.stop, stop_at=loop_time(), drain_at=self._drain_at
        )
        self._active_runs[run.id] = active
        ticket = self._queue.enter(run.id, self._launcher.queue_keys(run))
        active.task = asyncio.create_task(self._drive(active, run, ticket), name=f"run {run.id}")

    async def _drive(self, active: ActiveRun, run: Run, ticket: Ticket) -> None:
        try:
            with part_of(run.traceparent, session=run.session_id):
                await RunDriver(self._parts, active, ticket).drive(run)
        except (AttemptFenced, RunNotFound):
            self.lose(run.id)
        finally:
            ticket.leave()
            self._active_runs.pop(run.id, None)

    async def stop(self, run_id: str, cause: StopCause) -> None:
        """Ask a run to stop, whichever replica drives it; one that is over stays as it is. The first cause counts."""
        self.stop_requested(await self._store.ask_stop(run_id, cause))

    def stop_requested(self, run: Run) -> None:
        """Take note of a stop that is on disk, maybe written by another replica."""
        active = self._active_runs.get(run.id)
        if active is not None and run.stop is not None and run.state is not RunState.ENDING:
            active.ask_stop(run.stop, loop_time())

    async def deliver(self, run_id: str) -> None:
        """Tell the worker of a run that is driven here of the commands that it does not know yet."""
        active = self._active_runs.get(run_id)
        if active is not None and active.connection is not None:
            active.ask(await self._store.commands.after(run_id, active.told))

    def lose(self, run_id: str) -> None:
        """Let go of a run that another replica has taken over; what its worker here still reports is refused."""
        active = self._active_runs.get(run_id)
        if active is not None and active.task is not None:
            _log.warning("a run was taken over by another replica", run=run_id)
            if active.worker is not None:
                active.worker.kill()
            active.task.cancel()

    # What is driven here

    def holds(self, run_id: str) -> bool:
        """Whether a run is driven here."""
        return run_id in self._active_runs

    @property
    def runs(self) -> set[str]:
        """Ids of the runs that are driven here."""
        return set(self._active_runs)

    def sessions(self) -> set[str]:
        """Return the ids of the sessions whose runs are driven here."""
        return {active.session_id for active in self._active_runs.values()}

    def idle(self, devices: Iterable[str]) -> set[str]:
        """Return those of some devices that no run has or waits for."""
        return self._queue.idle(devices)

    def waiting(self) -> dict[str, float]:
        """Return how many runs wait here, by device."""
        return self._queue.waiting()

    @property
    def events(self) -> int:
        """How many items workers have reported here."""
        return self.reports.events

    # Ends

    async def close_session(self, session_id: str) -> None:
        """End the session's run at once; its memory is free when this returns."""
        active_runs = [active for active in self._active_runs.values() if active.session_id == session_id]
        for active in active_runs:
            active.end_at_once()
        await _wait([active.task for active in active_runs if active.task], _EXIT_S)

    async def drain(self) -> None:
        """Have workers write checkpoints and exit; their runs stay queued for the next start."""
        self._drain_at = loop_time()
        for active in self._active_runs.values():
            active.ask_drain(self._drain_at)
        tasks = [active.task for active in self._active_runs.values() if active.task]
        await _wait(tasks, self._settings.drain_s + _EXIT_S)

    async def close(self) -> None:
        """Let go of all runs and workers as they are, as a process that dies does."""
        self._drain_at = self._drain_at or loop_time()
        active_runs = list(self._active_runs.values())
        for active in active_runs:
            active.drain_at = self._drain_at
            if active.task is not None:
                active.task.cancel()
            if active.connection is not None:
                active.connection.close(Unavailable("the server goes away"))
        await _wait([active.task for active in active_runs if active.task], _EXIT_S)


async def _wait(tasks: Sequence[asyncio.Task[None]], timeout_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
