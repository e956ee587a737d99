"""Training: configurations of runs, runs, and the streams that follow them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing

import structlog

from swath.errors import ArtifactMissing, SessionNotFound, SwathError, Unavailable
from swath.sessions.model import Sessions
from swath.sessions.ownership import everyones, is_callers
from swath.storage import ArtifactStore, Workspace
from swath.storage.sql.notifications import Notifications
from swath_training.api.admission import Admission
from swath_training.api.live.commanding import Commanding
from swath_training.api.live.reading import Reading
from swath_training.api.pipelines import Pipelines
from swath_training.api.requests import TrainRequest
from swath_training.api.run_config import RunConfigs
from swath_training.api.streams import Following, Streams
from swath_training.runs.database.rows import no_run
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import Event, EventCodec
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.logs.log_stream import LogStream
from swath_training.runs.model import LoggedEvent, LoggedLine, Metric, Run, RunArtifact, RunState, StopCause
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher
from swath_training.supervise.lease_manager import LeaseManager
from swath_training.supervise.supervisor import Supervisor

_log = structlog.get_logger("swath.training")

STOP_TEXT = (
    "Stop requested; training stops at the next batch/node boundary "
    "and the Train stream ends with TRAIN_STATUS_CANCELLED"
)
_RETENTION_INTERVAL_S = 3600.0


class TrainingService:
    """Owns runs.

    Args:
        settings: Times and limits.
        store: Runs on disk.
        sessions: The authority over sessions.
        artifacts: Where documents and weights are.
        workspace: What paths mean.
        pipelines: Builds pipelines that come with a configuration.
        launcher: Starts workers.
        codec: Reads events of workers, and makes those of the service.
        notifications: What other replicas have written.
        worker_address: Where workers connect to.

    Attributes:
        supervisor: Drives the runs of this replica.
        reading: Lists and follows runs.
        commanding: Takes what is asked of runs.
        curves: What runs have measured, curve by curve.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        sessions: Sessions,
        artifacts: ArtifactStore,
        workspace: Workspace,
        pipelines: Pipelines,
        launcher: Launcher,
        codec: EventCodec,
        notifications: Notifications,
        worker_address: str,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._launcher = launcher
        self._codec = codec
        self._notifications = notifications
        self._subscriptions: list[asyncio.Task[None]] = []
        self._log = EventLog(store)
        self._lines = LogStream(store)
        self.supervisor = Supervisor(
            settings,
            store,
            self._log,
            self._lines,
            everyones(sessions),  # a run goes on after the call that began it, and another caller may end it
            artifacts,
            launcher,
            codec,
            workspace.shown_in,
            worker_address,
        )
        self._streams = Streams(self._log, store, settings.attach_window_s, self.supervisor.holds, self._abandoned)
        self._admission = Admission(
            settings, store, sessions, artifacts, launcher, codec, self.supervisor, self._streams
        )
        self._run_configs = RunConfigs(store, sessions, artifacts, workspace, pipelines, self._admission)
        self._lease_manager = LeaseManager(
            settings, store, self.supervisor, launcher.devices, self._take_over, self._admission.starting
        )
        self.reading = Reading(store, self._streams)
        self.commanding = Commanding(store, artifacts, self.supervisor, self.reading.own)
        self.curves = store.curves
        self._draining = False
        self._forgetting: asyncio.Task[None] | None = None
        sessions.on_close(self._session_closed, self.supervisor.sessions)

    # What clients ask for

    async def set_run_config(self, session_id: str, config: bytes) -> bool:
        """Set what the session's runs are: data, training, nodes; and its pipeline where the configuration brings one.

        Returns:
            Whether the pipeline came from the configuration.

        Raises:
            SessionNotFound, RunActive: The session is unknown, or training.
            PipelineMissing: Neither the session nor the configuration has a pipeline.
            DocumentInvalid, GraphInvalid: The configuration or its pipeline cannot be.
            ConfigNotFound, PathDenied: It names a pipeline file that is not there, or may not be read.
        """
        return await self._run_configs.set(session_id, config)

    async def train(self, request: TrainRequest) -> Following:
        """Start a run, or attach to the one that these arguments belong to.

        Raises:
            SessionNotFound: No such session.
            RunNotFound: The run to attach to is not one of the session's.
            RunActive: The session is training with other arguments.
            RunQuota: The session's owner has as many runs as one may have.
            PipelineMissing, NotFitted: The session lacks what this kind of run needs.
            InvalidInput: Unknown kind of run, no data, or configurations that cannot be.
            Unavailable: The server goes away.
        """
        if self._draining:
            raise Unavailable("the server goes away; call again", retry_after=1.0)
        return await self._admission.train(request)

    async def stop(self, session_id: str) -> str:
        """Ask the session's run to stop, and its next Train not to start; return a text for people.

        The flag stays until SetTrainRunConfig: a client that runs phase after phase and stops in the first one does
        not start the second.
        """
        await self._sessions.get(session_id)
        async with self._admission.turn(session_id):
            for run in await self._store.stop_session(session_id, StopCause.CLIENT):
                self.supervisor.stop_requested(run)
        return STOP_TEXT

    async def status(self, session_id: str) -> LoggedEvent | None:
        """Return the last event of the session's last run; None if there never was one."""
        await self._sessions.get(session_id)
        run = await self._store.latest(session_id)
        if run is None:
            return None
        if run.code:
            return _as_logged(run, self._codec.note("ERROR", run.message))
        events = await self._store.events(run.id, run.last_seq - 1)
        return events[-1] if events else _as_logged(run, self._codec.note("RUNNING", "Waiting for a worker"))

    async def logs(self, run_id: str, after: int = 0, *, follow: bool = False) -> AsyncGenerator[Sequence[LoggedLine]]:
        """Yield what the workers of a run have logged after a line, some lines at a time.

        Args:
            run_id: A run of the caller's.
            after: Number of that line, 0 for all.
            follow: Whether to wait for what is still to come, until the run is over.

        Raises:
            RunNotFound: The caller has no such run.
            Unavailable: The server goes away first.
        """
        await self._callers(run_id)
        async with aclosing(self._lines.read(run_id, after, follow=follow)) as pages:
            async for page in pages:
                yield page

    async def metrics(
        self, run_id: str, names: Collection[str] = (), after_seq: int = 0
    ) -> AsyncGenerator[Sequence[Metric]]:
        """Yield what a run has measured until now, some values at a time, in the order in which it was measured.

        Args:
            run_id: A run of the caller's.
            names: Only metrics of these names; all if empty.
            after_seq: Only metrics of events after this one; 0 for all.

        Raises:
            RunNotFound: The caller has no such run.
        """
        await self._callers(run_id)
        page = await self._store.metrics.after(run_id, after_seq, names=names)
        while page:
            yield page
            page = await self._store.metrics.after(run_id, page[-1].seq, page[-1].ordinal, names=names)

    async def artifact(self, run_id: str, kind: RunArtifact) -> bytes:
        """Return a document or the weights of a run.

        Args:
            run_id: A run of the caller's.
            kind: Which one.

        Raises:
            RunNotFound: The caller has no such run.
            ArtifactMissing: The run has none of that kind.
        """
        run = await self.reading.own(run_id)
        digest = {
            RunArtifact.SPECIFICATION: run.spec_digest,
            RunArtifact.PIPELINE: run.result_pipeline or run.pipeline_digest,
            RunArtifact.WEIGHTS: run.result_weights,
        }[kind]
        if not digest:
            raise ArtifactMissing(f"run {run.id} has no {kind}: it is {run.state}", metadata={"run": run.id})
        return await self._artifacts.get(digest)

    async def _callers(self, run_id: str) -> None:
        if not is_callers((await self._store.get(run_id)).owner):
            raise no_run(run_id)

    async def artifacts(self) -> set[str]:
        """Return the digests of artifacts that runs still need."""
        return await self._store.artifacts()

    # From start to close

    async def start(self) -> None:
        """Take up the runs that this replica drove before a restart, and from now on those of others."""
        self._subscriptions = [
            asyncio.create_task(subscribe(self._notifications))
            for subscribe in (
                self._log.subscribe,
                self._lines.subscribe,
                self._lease_manager.subscribe,
                self._lease_manager.subscribe_commands,
            )
        ]
        self._streams.start()
        await self._lease_manager.start()
        self._forgetting = asyncio.create_task(self._forget())

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then send their streams away."""
        self._draining = True
        # Leases are renewed while workers write their checkpoints, which may take longer than a lease lasts.
        self._lease_manager.retire()
        await self.supervisor.drain()
        await self._lease_manager.stop()
        try:
            await self._store.leases.release()
        except SwathError as error:
            _log.warning("runs wait until their leases lapse before others take them", error=error.message)
        self._log.cut()
        self._lines.cut()

    async def close(self) -> None:
        """Let go of everything; runs that still go on are left to the next process."""
        self._draining = True
        await self._lease_manager.stop()
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.wait([self._forgetting])
        await self.supervisor.close()
        await self._streams.close()
        self._lines.cut()
        await self._notifications.close()
        if self._subscriptions:
            await asyncio.wait(self._subscriptions)
        await self._launcher.close()
        await self._store.close()

    async def _abandoned(self, run_id: str) -> None:
        run = await self._store.get(run_id)
        if run.paused:
            self._streams.expect(run)  # who has paused it comes back
        else:
            await self.supervisor.stop(run_id, StopCause.ABANDONED)

    async def _take_over(self, run: Run) -> None:
        """Go on with a run of another replica, or of this one before a restart."""
        self._streams.expect(run)
        self.supervisor.begin(await self._with_lease(run))

    async def _with_lease(self, run: Run) -> Run:
        """Return a run that was taken over, to be cancelled if its session is gone or was never taken."""
        try:
            session = await everyones(self._sessions).get(run.session_id)
        except SessionNotFound:
            session = None
        if run.state is RunState.ENDING or (session is not None and session.active_run == run.id):
            return run
        return await self._store.ask_stop(run.id, StopCause.SESSION_CLOSED)

    async def _session_closed(self, session_id: str) -> None:
        await self.supervisor.close_session(session_id)
        await self._store.clear_stop(session_id)

    async def _forget(self) -> None:
        while True:
            try:
                while gone := await self._store.forget(self._settings.retention_s):
                    self._launcher.forget(gone)
            except Exception as error:
                _log.warning("old runs were not forgotten; the next round tries again", error=str(error))
            await asyncio.sleep(_RETENTION_INTERVAL_S)


def _as_logged(run: Run, note: Event) -> LoggedEvent:
    return LoggedEvent(run.last_seq, note.payload)
