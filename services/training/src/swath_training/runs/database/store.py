"""Runs, their event logs and checkpoints on disk.

Every write is one function that runs inside a group commit, and every write on behalf of a worker names its attempt:
what an older attempt sends is refused here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import AttemptFenced
from swath.storage.sql.engine import GroupWriter, now
from swath.storage.sql.notifications import notify
from swath_training.runs.database import retention, stops
from swath_training.runs.database.leases import Leases
from swath_training.runs.database.live.commands import CommandStore, close_commands
from swath_training.runs.database.live.curves import CurveStore
from swath_training.runs.database.live.files import FileStore
from swath_training.runs.database.log_store import LogStore
from swath_training.runs.database.metric_store import MetricStore
from swath_training.runs.database.quotas import quota_exceeded, runs_over_quota
from swath_training.runs.database.reads import RunReads
from swath_training.runs.database.records import record
from swath_training.runs.database.rows import Written, append, change, run_row
from swath_training.runs.database.tables import RUNS, SCHEMA
from swath_training.runs.items import Event, Item
from swath_training.runs.model import WORKING, Run, RunState, StopCause

MOVED = "run.moved"
"""Notifications of this channel hold a run's id, the last number in its log, and the state of one that is over."""

_BEGINNING = (
    *("id", "session_id", "owner", "trainer", "arguments_digest", "spec_digest", "pipeline_digest", "weights_digest"),
    *("device", "traceparent", "name", "hash", "hash_base"),
)
"""Columns of a run that are known when it begins."""


class RunStore(RunReads):
    """The training service's own database.

    Several replicas may share it. Each run has a lease, held by one of them: what a supervisor writes about a run is
    refused once another replica has taken it over.

    Args:
        engine: An engine of `swath.storage.sql.engine`; only the training service writes to its database.
        holder: Name of this replica, the same after a restart where it can be.
        lease_s: Seconds after which others may take a run over whose holder has not renewed its lease.
        log_bytes: Bytes of log lines that are kept per run.

    Attributes:
        leases: Which replica holds which run.
        lines: What workers have logged.
        metrics: What runs have measured.
        commands: What was asked of runs.
        files: What runs have written.
        curves: What runs have measured, curve by curve.
    """

    def __init__(
        self, engine: AsyncEngine, holder: str = "alone", lease_s: float = 15.0, log_bytes: int = 1 << 20
    ) -> None:
        super().__init__(engine)
        self._holder = holder
        self._lease_s = lease_s
        self._writer = GroupWriter(engine)
        self.leases = Leases(engine, self._writer, holder, lease_s)
        self.lines = LogStore(engine, self._writer, holder, log_bytes)
        self.metrics = MetricStore(engine)
        self.commands = CommandStore(engine, self._writer, holder)
        self.files = FileStore(engine)
        self.curves = CurveStore(engine, self._writer)

    async def prepare(self) -> None:
        """Make sure that the tables are there.

        Raises:
            SchemaOutdated: They are those of an older release.
        """
        await SCHEMA.prepare(self._engine)

    async def close(self) -> None:
        """Finish the writes under way and close the file."""
        await self._writer.close()
        await self._engine.dispose()

    def holds(self, run: Run) -> bool:
        """Whether this replica holds a run's lease."""
        return run.holder == self._holder

    # Writes of the service

    async def create(self, run: Run, stopped: Event, quota: int = 0) -> Written:
        """Add a run; this replica holds its lease.

        Args:
            run: The run.
            stopped: Its only event if StopTrain was called on its session: it is over then without having begun.
            quota: Runs that are not over that its owner may have, this one included; 0 means any number.

        Raises:
            RunQuota: The owner has as many already.
        """

        def work(connection: Connection) -> Written | int:
            stop = stops.is_stopped(connection, run.session_id)
            # A refusal is no exception here, since that would have its neighbours in the transaction written anew.
            if not stop and (present := runs_over_quota(connection, run.owner, quota)) is not None:
                return present
            connection.execute(
                insert(RUNS).values(
                    **{name: getattr(run, name) for name in _BEGINNING},
                    state=RunState.CANCELLED if stop else run.state,
                    experiment=run.experiment or run.session_id,
                    hyperparameters=dict(run.hyperparameters),
                    holder=self._holder,
                    held_until=now() + self._lease_s,
                    created_at=now(),
                    finished_at=now() if stop else None,
                )
            )
            return append(connection, run_row(connection, run.id), [stopped] if stop else [])

        written = await self._writer.write(work)
        if isinstance(written, int):
            raise quota_exceeded(run.owner, written, quota)
        return written

    async def discard(self, run_id: str) -> None:
        """Remove a run that never began."""
        await self._writer.write(lambda connection: connection.execute(delete(RUNS).where(RUNS.c.id == run_id)))

    async def begin(self, run_id: str, token_digest: str) -> Run:
        """Begin the next attempt of a run; from now on the one before is fenced off."""

        def work(connection: Connection) -> Run:
            run = self._held(connection, run_id)
            state = RunState.STOPPING if run.stop else RunState.RUNNING
            return change(
                connection,
                run,
                state=state,
                attempt=run.attempt + 1,
                token_digest=token_digest,
                worker_pid=None,
                worker_started="",
                item_seq=0,
                progressed=False,
                started_at=RUNS.c.started_at if run.attempt else now(),
            )

        return await self._writer.write(work)

    async def set_worker(self, run_id: str, attempt: int, pid: int, started: str) -> None:
        """Write which process runs an attempt."""
        await self._writer.write(
            lambda connection: connection.execute(
                update(RUNS)
                .where(RUNS.c.id == run_id, RUNS.c.attempt == attempt)
                .values(worker_pid=pid, worker_started=started)
            )
        )

    async def count_death(self, run_id: str) -> Run:
        """Count the death of the present attempt's worker."""

        def work(connection: Connection) -> Run:
            run = self._held(connection, run_id)
            count = 0 if run.progressed else run.attempts_without_progress + 1
            return change(connection, run, attempts_without_progress=count, progressed=False)

        return await self._writer.write(work)

    async def append_note(self, run_id: str, event: Event) -> Written:
        """Append an event of the service's own to a run's log."""

        def work(connection: Connection) -> Written:
            run = self._held(connection, run_id)
            return Written(run) if run.state.over else _notified(connection, append(connection, run, [event]))

        return await self._writer.write(work)

    async def give_up(self, run_id: str, **facts: Any) -> Run:
        """Write the end of a run that has no worker to report it: why it was stopped, or how it failed.

        Args:
            run_id: The run; one that has an end already is left as it is.
            facts: Columns: stop, or code, reason, message and details.
        """

        def work(connection: Connection) -> Run:
            run = self._held(connection, run_id)
            if run.state.over or run.state is RunState.ENDING:
                return run
            return change(connection, run, state=RunState.ENDING, **facts)

        return await self._writer.write(work)

    async def end(self, run_id: str, state: RunState, final: Event | None = None) -> Written:
        """End a run, once, in a state in which it is over; in the same transaction its last event goes into the log."""

        def work(connection: Connection) -> Written:
            run = self._held(connection, run_id)
            if run.state.over:
                return Written(run)
            close_commands(connection, run_id)
            written = append(connection, run, [final] if final else [])
            facts = {"state": state, "paused": False, "finished_at": now(), "final": None, "final_response": None}
            ended = change(connection, run, **facts)
            notify(connection, MOVED, f"{run_id} {written.run.last_seq} {state}")
            return Written(ended, written.events)

        return await self._writer.write(work)

    async def delivered(self, run_id: str, seq: int, *, end: bool = False) -> None:
        """Write which events streams were given."""

        def work(connection: Connection) -> None:
            query = update(RUNS).where(RUNS.c.id == run_id)
            connection.execute(query.where(RUNS.c.delivered_seq < seq).values(delivered_seq=seq))
            if end:
                connection.execute(query.values(end_delivered=True))

        await self._writer.write(work)

    async def ask_stop(self, run_id: str, cause: StopCause) -> Run:
        """Write that a run shall stop, and notify its holder; a run that is over or ending is left as it is."""
        return await self._writer.write(lambda connection: stops.stop_run(connection, run_id, cause))

    async def stop_session(self, session_id: str, cause: StopCause) -> list[Run]:
        """Have the session's run stop, and its next Train not start; return the runs that are to stop."""
        return await self._writer.write(lambda connection: stops.stop_session(connection, session_id, cause))

    async def clear_stop(self, session_id: str) -> None:
        """Let the session's next Train start."""
        await self._writer.write(lambda connection: stops.clear_stop(connection, session_id))

    async def forget(self, age_s: float) -> list[str]:
        """Remove some of the runs that ended longer ago than `age_s` seconds and return their ids; none at the end."""
        return await self._writer.write(lambda connection: retention.forget(connection, age_s))

    # Writes of workers

    async def record(self, run_id: str, attempt: int, items: Sequence[Item]) -> Written:
        """Write what a worker reports: events and their metrics into the log, checkpoints, and the end.

        Items that were written before and events whose position the log already holds are passed over.

        Raises:
            RunNotFound: No such run.
            AttemptFenced: A newer attempt has begun, or the run is over.
            InvalidInput: Items are missing in between.
        """

        def work(connection: Connection) -> Written:
            run = self._held(connection, run_id)
            if run.attempt != attempt or run.state not in WORKING:
                raise fenced(run, attempt)
            return _notified(connection, record(connection, run, [item for item in items if item.seq > run.item_seq]))

        return await self._writer.write(work)

    def _held(self, connection: Connection, run_id: str) -> Run:
        """Return a run whose lease this replica holds.

        Raises:
            RunNotFound: No such run.
            AttemptFenced: Another replica has taken it over.
        """
        run = run_row(connection, run_id)
        if not self.holds(run):
            raise AttemptFenced(
                f"run {run_id} is held by another replica of the training service",
                metadata={"run": run_id, "attempt": str(run.attempt)},
            )
        return run


def _notified(connection: Connection, written: Written) -> Written:
    """Notify the followers at other replicas of what a write added to a log."""
    if written.events:
        notify(connection, MOVED, f"{written.run.id} {written.run.last_seq}")
    return written


def fenced(run: Run, attempt: int) -> AttemptFenced:
    """Return the error for a worker whose attempt is not the present one."""
    return AttemptFenced(
        f"attempt {attempt} of run {run.id} is over: the run is {run.state} in attempt {run.attempt}",
        metadata={"run": run.id, "attempt": str(attempt)},
    )
