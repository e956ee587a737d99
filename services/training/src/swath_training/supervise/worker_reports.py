"""What workers ask of the service and report to it, whoever drives their runs."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

import structlog

from swath.errors import Denied, SwathError
from swath.storage import ArtifactStore
from swath_training.runs.database.store import RunStore, fenced
from swath_training.runs.items import Hello, Item, Line, Welcome
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.logs.log_stream import LogStream
from swath_training.runs.model import WORKING, StopCause
from swath_training.supervise.active_run import ActiveRun, WorkerConnection
from swath_training.supervise.run_driver import token_digest
from swath_training.supervise.waiting import loop_time

_log = structlog.get_logger("swath.training")


class WorkerReports:
    """Takes in what workers report.

    Args:
        store: Runs.
        log: Their event logs.
        lines: Their log lines.
        artifacts: Where specifications of runs are.
        active_runs: Those that this replica drives, by id.

    Attributes:
        events: Items that workers have reported.
    """

    def __init__(
        self,
        store: RunStore,
        log: EventLog,
        lines: LogStream,
        artifacts: ArtifactStore,
        active_runs: Mapping[str, ActiveRun],
    ) -> None:
        self._store = store
        self._log = log
        self._lines = lines
        self._artifacts = artifacts
        self._active_runs = active_runs
        self.events = 0

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
        active.connection, active.has_connected = connection, True
        active.last_heartbeat_at = loop_time()
        active.takes_commands = hello.takes_commands
        active.told = max((command.number for command in welcome.commands), default=0)
        active.changed.set()
        # Without a wait since the Welcome was made: a stop that comes now finds the link, an earlier one is in there.
        # A command that is asked while the Welcome is made is found by the next round of the lease manager.
        return welcome

    async def welcome_rank(self, hello: Hello) -> Welcome:
        """Return for another process of a worker what the attempt is.

        Raises:
            RunNotFound, Denied, AttemptFenced: As for `welcome`.
        """
        return (await self._welcome(hello))[1]

    async def _welcome(self, hello: Hello) -> tuple[ActiveRun, Welcome]:
        run = await self._store.get(hello.run_id)
        active = self._active_runs.get(run.id)
        if active is None or run.attempt != hello.attempt or run.state not in WORKING:
            raise fenced(run, hello.attempt)
        if not hmac.compare_digest(token_digest(hello.token), run.token_digest):
            raise Denied(f"the token is not that of attempt {hello.attempt} of run {run.id}")
        spec = await self._artifacts.get(run.spec_digest)
        checkpoint = await self._store.checkpoint(run.id)
        commands = await self._store.commands.after(run.id, 0)
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
            stop=StopCause.DRAIN if active.draining else active.stop,
            logged=run.line_number,
            commands=commands,
            position=run.position,
            session_id=run.session_id,
            traceparent=run.traceparent,
        )

    async def receive(self, run_id: str, attempt: int, items: Sequence[Item]) -> None:
        """Write items; they are on disk when this returns.

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

    async def keep_lines(self, run_id: str, attempt: int, lines: Sequence[Line]) -> bool:
        """Write what a worker has logged, if that can be; whether it could."""
        try:
            await self._lines.append(run_id, attempt, lines)
        except SwathError as error:
            _log.warning("log lines of a worker are not written yet", run=run_id, error=error.message)
            return False
        return True

    def heartbeat(self, run_id: str, attempt: int) -> None:
        """Note that a worker is alive."""
        active = self._active_runs.get(run_id)
        if active is not None and active.attempt == attempt:
            active.last_heartbeat_at = loop_time()

    def disconnected(self, run_id: str, connection: WorkerConnection) -> None:
        """Note that a worker's link is gone."""
        active = self._active_runs.get(run_id)
        if active is not None and active.connection is connection:
            active.connection = None
            active.changed.set()
