"""Runs, their event logs and checkpoints on disk.

Every write is one function that runs inside a group commit, and every write on behalf of a worker names its attempt:
what an older attempt sends is refused here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import AttemptFenced, RunQuota
from swath.sessions.quotas import exceeded
from swath.storage.sql.engine import GroupWriter, now, run
from swath.storage.sql.notifications import notify
from swath_training.runs.items import Checkpoint, Item
from swath_training.runs.leases import Leases
from swath_training.runs.log_store import ROW_BYTES, LogStore
from swath_training.runs.model import OVER, WORKING, Entry, Run, RunState, StopCause
from swath_training.runs.rows import Written, append, change, record, run_row
from swath_training.runs.tables import CHECKPOINTS, EVENTS, RUNS, SCHEMA, STOPS, run_of

# What the column holds: there is nothing after it.
_MAX_SEQ = 2**31 - 1

_FORGET_RUNS = 100
_FORGET_ROWS = 20_000

MOVED = "run.moved"
"""Notices of this channel hold a run's id, the last number in its log, and the state of one that is over."""

STOPPED = "run.stopped"
"""Notices of this channel hold the id of a run that is to stop."""


class RunStore:
    """The training service's own database.

    Several replicas may share it. Each run is in the charge of one of them, its holder: what a supervisor writes about
    a run is refused once another replica has taken it over.

    Args:
        engine: An engine of `swath.storage.sql.engine`; nobody but the training service writes to its database.
        holder: Name of this replica, the same after a restart where it can be.
        lease_s: Seconds after which others may take a run over whose holder has not renewed its charge.
        log_bytes: Bytes of log lines that are kept of a run.
    """

    def __init__(
        self, engine: AsyncEngine, holder: str = "alone", lease_s: float = 15.0, log_bytes: int = 1 << 20
    ) -> None:
        self._engine = engine
        self._holder = holder
        self._lease_s = lease_s
        self._writer = GroupWriter(engine)
        self.leases = Leases(engine, self._writer, holder, lease_s)
        self.lines = LogStore(engine, self._writer, holder, log_bytes)

    async def prepare(self) -> None:
        """Make sure of the tables.

        Raises:
            SchemaOutdated: They are those of an older release.
        """
        await SCHEMA.prepare(self._engine)

    async def close(self) -> None:
        """Finish the writes under way and close the file."""
        await self._writer.close()
        await self._engine.dispose()

    def holds(self, run: Run) -> bool:
        """Whether a run is in this replica's charge."""
        return run.holder == self._holder

    # Reads

    async def get(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunNotFound: No such run, or it is forgotten.
        """
        return await run(self._engine, lambda connection: run_row(connection, run_id))

    async def latest(self, session_id: str) -> Run | None:
        """Return the session's last run, if it ever had one."""
        found = await self._runs(RUNS.c.session_id == session_id, newest=True)
        return found[0] if found else None

    async def ended_undelivered(self, session_id: str, arguments_digest: str, window_s: float) -> Run | None:
        """Return the session's last run if it had these arguments and ended within the window with nobody there."""
        latest = await self.latest(session_id)
        recent = await self._runs(
            RUNS.c.id == (latest.id if latest else None),
            RUNS.c.arguments_digest == arguments_digest,
            RUNS.c.state.in_(OVER),
            RUNS.c.end_delivered.is_(False),
            RUNS.c.finished_at >= now() - window_s,
        )
        return recent[0] if recent else None

    async def entries(self, run_id: str, after_seq: int, limit: int = 500) -> list[Entry]:
        """Return events of a run's log after a sequence number, in order."""
        query = (
            select(EVENTS.c.seq, EVENTS.c.payload)
            .where(EVENTS.c.run_id == run_id, EVENTS.c.seq > min(after_seq, _MAX_SEQ))
            .order_by(EVENTS.c.seq)
            .limit(limit)
        )
        return await run(
            self._engine, lambda connection: [Entry(seq, payload) for seq, payload in connection.execute(query)]
        )

    async def checkpoint(self, run_id: str) -> Checkpoint | None:
        """Return the run's last checkpoint, if it has one."""
        query = (
            select(CHECKPOINTS.c.digest, CHECKPOINTS.c.position)
            .where(CHECKPOINTS.c.run_id == run_id)
            .order_by(CHECKPOINTS.c.position.desc())
            .limit(1)
        )
        row = await run(self._engine, lambda connection: connection.execute(query).first())
        return Checkpoint(row.digest, row.position) if row else None

    async def artifacts(self) -> set[str]:
        """Return the digests of all artifacts that runs refer to."""
        columns = (RUNS.c.spec_digest, RUNS.c.pipeline_digest, RUNS.c.weights_digest)
        results = (RUNS.c.result_pipeline, RUNS.c.result_weights)
        # Nobody goes on from a checkpoint of a run that is over.
        checkpoints = select(CHECKPOINTS.c.digest).join(RUNS, RUNS.c.id == CHECKPOINTS.c.run_id)
        queries = (select(*columns, *results), checkpoints.where(RUNS.c.state.not_in(OVER)))

        def work(connection: Connection) -> set[str]:
            return {digest for query in queries for row in connection.execute(query) for digest in row if digest}

        return await run(self._engine, work)

    async def _runs(self, *where: Any, newest: bool = False) -> list[Run]:
        order = RUNS.c.number.desc() if newest else RUNS.c.number
        query = select(RUNS).where(*where).order_by(order).limit(1 if newest else None)
        return await run(self._engine, lambda connection: [run_of(row) for row in connection.execute(query).mappings()])

    # Writes of the service

    async def create(self, run: Run, stopped: bytes, most: int = 0) -> Written:
        """Add a run, in this replica's charge.

        Args:
            run: The run.
            stopped: Its only event if StopTrain was called on its session: it is over then without having begun.
            most: Runs that are not over that its owner may have, this one included; 0 means any number.

        Raises:
            RunQuota: The owner has as many already.
        """

        def work(connection: Connection) -> Written | int:
            stop = _stopped(connection, run.session_id)
            # Counted where it is written: of two replicas one writes at a time. A refusal is no exception here, since
            # that would have its neighbours in the transaction written anew.
            present = _active(connection, run.owner) if most and not stop else 0
            if most and present >= most:
                return present
            connection.execute(
                insert(RUNS).values(
                    id=run.id,
                    session_id=run.session_id,
                    owner=run.owner,
                    state=RunState.CANCELLED if stop else run.state,
                    trainer=run.trainer,
                    arguments_digest=run.arguments_digest,
                    spec_digest=run.spec_digest,
                    pipeline_digest=run.pipeline_digest,
                    weights_digest=run.weights_digest,
                    device=run.device,
                    traceparent=run.traceparent,
                    holder=self._holder,
                    held_until=now() + self._lease_s,
                    created_at=now(),
                    finished_at=now() if stop else None,
                )
            )
            return append(connection, run_row(connection, run.id), [(None, stopped)] if stop else [])

        written = await self._writer.write(work)
        if isinstance(written, int):
            what, remedy = "runs queued or under way", "wait for the end of one, or call StopTrain"
            raise exceeded(RunQuota, run.owner, what, present=written, limit=most, remedy=remedy)
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

    async def worker(self, run_id: str, attempt: int, pid: int, started: str) -> None:
        """Note the process that runs an attempt."""
        await self._writer.write(
            lambda connection: connection.execute(
                update(RUNS)
                .where(RUNS.c.id == run_id, RUNS.c.attempt == attempt)
                .values(worker_pid=pid, worker_started=started)
            )
        )

    async def died(self, run_id: str) -> Run:
        """Count the death of the present attempt's worker."""

        def work(connection: Connection) -> Run:
            run = self._held(connection, run_id)
            return change(connection, run, fruitless=0 if run.progressed else run.fruitless + 1, progressed=False)

        return await self._writer.write(work)

    async def ask_stop(self, run_id: str, cause: StopCause) -> Run:
        """Write down that a run shall stop; a run that is over or ending is left as it is. Its holder is told."""
        return await self._writer.write(lambda connection: self._ask_stop(connection, run_id, cause))

    def _ask_stop(self, connection: Connection, run_id: str, cause: StopCause) -> Run:
        run = run_row(connection, run_id)
        if run.state.over or run.state is RunState.ENDING or run.stop is not None:
            return run
        notify(connection, STOPPED, run_id)
        state = RunState.STOPPING if run.state is RunState.RUNNING else run.state
        return change(connection, run, state=state, stop=cause)

    async def note(self, run_id: str, payload: bytes) -> Written:
        """Append what the service itself has to say to a run's log."""

        def work(connection: Connection) -> Written:
            run = self._held(connection, run_id)
            return Written(run) if run.state.over else _notified(connection, append(connection, run, [(None, payload)]))

        return await self._writer.write(work)

    async def give_up(self, run_id: str, **facts: Any) -> Run:
        """Write down the end of a run that has no worker to say it: why it was stopped, or how it failed.

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

    async def end(self, run_id: str, state: RunState, final: bytes | None = None) -> Written:
        """End a run, once, in a state in which it is over; with it the last event goes into the log."""

        def work(connection: Connection) -> Written:
            run = self._held(connection, run_id)
            if run.state.over:
                return Written(run)
            written = append(connection, run, [(None, final)] if final else [])
            ended = change(connection, run, state=state, finished_at=now(), final=None)
            notify(connection, MOVED, f"{run_id} {written.run.last_seq} {state}")
            return Written(ended, written.entries)

        return await self._writer.write(work)

    async def delivered(self, run_id: str, seq: int, *, end: bool = False) -> None:
        """Note what streams were given."""

        def work(connection: Connection) -> None:
            query = update(RUNS).where(RUNS.c.id == run_id)
            connection.execute(query.where(RUNS.c.delivered_seq < seq).values(delivered_seq=seq))
            if end:
                connection.execute(query.values(end_delivered=True))

        await self._writer.write(work)

    async def stop_session(self, session_id: str, cause: StopCause) -> list[Run]:
        """Have the session's run stop, and its next Train not start; return the runs that are to stop.

        Both in one: a Train that comes at the same time at another replica is either seen here or sees the flag.
        """

        def work(connection: Connection) -> list[Run]:
            if not _stopped(connection, session_id):
                connection.execute(insert(STOPS).values(session_id=session_id, created_at=now()))
            active = RUNS.c.state.in_((RunState.QUEUED, *WORKING))
            found = connection.execute(select(RUNS.c.id).where(RUNS.c.session_id == session_id, active)).scalars()
            asked = [self._ask_stop(connection, run_id, cause) for run_id in found.all()]
            return [run for run in asked if run.stop is not None]

        return await self._writer.write(work)

    async def clear_stop(self, session_id: str) -> None:
        """Let the session's next Train start."""
        gone = delete(STOPS).where(STOPS.c.session_id == session_id)
        await self._writer.write(lambda connection: connection.execute(gone))

    async def forget(self, age_s: float) -> list[str]:
        """Remove some of the runs that ended longer ago than `age_s` seconds and return their ids; none at the end.

        The oldest ones go first, as many as are quick to remove: others wait for their turn to write meanwhile.
        """
        old = RUNS.c.state.in_(OVER) & (RUNS.c.finished_at < now() - age_s)
        rows = RUNS.c.last_seq + RUNS.c.line_bytes // ROW_BYTES
        oldest = select(RUNS.c.id, rows).where(old).order_by(RUNS.c.finished_at).limit(_FORGET_RUNS)

        def work(connection: Connection) -> list[str]:
            gone: list[str] = []
            many = 0
            for run_id, rows in connection.execute(oldest).all():
                many += rows
                if gone and many > _FORGET_ROWS:
                    break
                gone.append(run_id)
            connection.execute(delete(RUNS).where(RUNS.c.id.in_(gone)))
            # Of sessions that went while nobody heard of it.
            connection.execute(delete(STOPS).where(STOPS.c.created_at < now() - age_s))
            return gone

        return await self._writer.write(work)

    # Writes of workers

    async def record(self, run_id: str, attempt: int, items: Sequence[Item]) -> Written:
        """Write down what a worker reports: events into the log, checkpoints, and the end.

        Items that were written before and events whose place the log already holds are passed over.

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
        """Return a run that this replica has in charge.

        Raises:
            RunNotFound: No such run.
            AttemptFenced: Another replica has taken it over.
        """
        run = run_row(connection, run_id)
        if not self.holds(run):
            raise AttemptFenced(
                f"run {run_id} is in the charge of another replica of the training service",
                metadata={"run": run_id, "attempt": str(run.attempt)},
            )
        return run


def _notified(connection: Connection, written: Written) -> Written:
    """Have the followers at other replicas told of what a write added to a log."""
    if written.entries:
        notify(connection, MOVED, f"{written.run.id} {written.run.last_seq}")
    return written


def _active(connection: Connection, owner: str) -> int:
    """Return how many runs of an identity are queued or under way."""
    query = select(func.count()).where(RUNS.c.owner == owner, RUNS.c.state.in_(set(RunState) - OVER))
    return connection.execute(query).scalar_one()


def _stopped(connection: Connection, session_id: str) -> bool:
    """Whether StopTrain was called on a session since its last SetTrainRunConfig."""
    return connection.execute(select(STOPS.c.session_id).where(STOPS.c.session_id == session_id)).first() is not None


def fenced(run: Run, attempt: int) -> AttemptFenced:
    """Return the error for a worker whose attempt is not the present one."""
    return AttemptFenced(
        f"attempt {attempt} of run {run.id} is over: the run is {run.state} in attempt {run.attempt}",
        metadata={"run": run.id, "attempt": str(attempt)},
    )
