"""Training: configurations of runs, runs, and the streams that follow them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import structlog

from swath.documents import PipelineDocument, TrainRunDocument, canonical, parse, stored_pipeline
from swath.errors import (
    PipelineMissing,
    RunActive,
    RunNotFound,
    SessionNotFound,
    SwathError,
    Unavailable,
)
from swath.rpc.tracing import traceparent
from swath.sessions.model import Session, Sessions
from swath.sessions.ownership import everyones, is_callers
from swath.storage import ArtifactStore, Workspace
from swath.storage.sql.notifications import Notifications
from swath_training.api.pipelines import Pipelines, find_pipeline
from swath_training.api.requests import TrainRequest, arguments_of, check, effective, trainer_of
from swath_training.api.streams import Following, Streams
from swath_training.launch.fork import Launcher
from swath_training.runs.event_log import EventLog
from swath_training.runs.log_stream import LogStream
from swath_training.runs.model import LoggedLine, Run, RunState, StopCause
from swath_training.runs.rows import no_run
from swath_training.runs.store import RunStore
from swath_training.settings import TrainingSettings
from swath_training.supervise.lease_manager import LeaseManager
from swath_training.supervise.supervisor import Supervisor

_log = structlog.get_logger("swath.training")

NO_PIPELINE = "No pipeline attached to the session. Call LoadPipeline (or RestoreTrainRun) before SetTrainRunConfig."
NOT_STARTING = "Training run was cancelled; not starting this trainer phase"
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
        note: Makes a serialized TrainResponse of a status name and a text.
        notifications: What other replicas have written.
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
        note: Callable[[str, str], bytes],
        notifications: Notifications,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._workspace = workspace
        self._pipelines = pipelines
        self._launcher = launcher
        self._note = note
        self._notifications = notifications
        self._subscriptions_tasks: list[asyncio.Task[None]] = []
        self._log = EventLog(store)
        self._lines = LogStream(store)
        # A run goes on after the call that began it, and what ends it may be another's call.
        self.supervisor = Supervisor(
            settings, store, self._log, everyones(sessions), artifacts, launcher, note, workspace.shown_in
        )
        self._streams = Streams(self._log, store, settings.attach_window_s, self.supervisor.holds, self._abandoned)
        self._starting: set[str] = set()
        self._lease_manager = LeaseManager(
            settings, store, self.supervisor, launcher.devices, self._take_over, self._starting
        )
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._draining = False
        self._forgetting: asyncio.Task[None] | None = None
        sessions.on_close(self._session_closed, self.supervisor.sessions)

    # Configuration

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
        session = await self._sessions.get(session_id)
        await self._refuse_active(session)
        document: TrainRunDocument = parse("trainrun", config)
        pipeline = document.pipeline
        if pipeline is None and session.pipeline_digest is None:
            raise PipelineMissing(NO_PIPELINE)
        changes: dict[str, Any] = {}
        if isinstance(pipeline, str):
            pipeline = await asyncio.to_thread(find_pipeline, pipeline, self._workspace, session.search_paths)
        if isinstance(pipeline, PipelineDocument):
            changes = {
                "pipeline_digest": await self._pipelines.prepare(pipeline, session.plugins),
                "weights_digest": None,
            }
        if isinstance(document.pipeline, PipelineDocument):
            document = document.model_copy(update={"pipeline": None})  # the session holds it
        changes["run_config_digest"] = await self._artifacts.put(canonical(document))

        def decide(current: Session) -> dict[str, Any]:
            if current.active_run != session.active_run:
                raise _busy(current)
            return changes

        await self._sessions.change(session, decide)
        await self._store.clear_stop(session_id)
        return pipeline is not None

    # Runs

    async def train(self, request: TrainRequest) -> Following:
        """Start a run, or attach to the one that these arguments belong to.

        Raises:
            SessionNotFound: No such session.
            RunNotFound: The run to attach to is not one of the session's.
            RunActive: The session is training with other arguments.
            RunQuota: The session's owner has as many runs as one may have.
            PipelineMissing, NotFitted: The session lacks what the phase needs.
            InvalidInput: Unknown phase, no data, or configurations that cannot be.
            Unavailable: The server goes away.
        """
        if self._draining:
            raise Unavailable("the server goes away; call again", retry_after=1.0)
        session = await self._sessions.get(request.session_id)
        if request.run_id is not None:
            return await self._attach(request, request.run_id)
        async with self._turn(session.id):
            return await self._start_or_attach(request)

    async def _attach(self, request: TrainRequest, run_id: str) -> Following:
        run = await self._store.get(run_id)
        if run.session_id != request.session_id:
            raise no_run(run_id)
        return self._streams.open(run, request.after_seq)

    async def _start_or_attach(self, request: TrainRequest) -> Following:
        try:
            return await self._begin(request)
        except RunActive:
            # A call at another replica took the session meanwhile: perhaps one with the same arguments.
            return await self._begin(request)

    async def _begin(self, request: TrainRequest) -> Following:
        session = await self._sessions.get(request.session_id)
        trainer = trainer_of(request.trainer)
        config = await self._config(session)
        document = effective(config, request, trainer)
        arguments = arguments_of(trainer, document)
        active = await self._active(session)
        if active is not None:
            if active.arguments_digest != arguments or active.pipeline_digest != session.pipeline_digest:
                raise _busy(session)
            return self._streams.open(active)
        ended_undelivered = await self._store.ended_undelivered(session.id, arguments, self._settings.attach_window_s)
        if ended_undelivered is not None and _is_what_session_has(ended_undelivered, session):
            return self._streams.open(ended_undelivered)
        if session.pipeline_digest is None:
            raise PipelineMissing(NO_PIPELINE.replace("SetTrainRunConfig", "Train"))
        run = Run(
            id=str(uuid.uuid4()),
            session_id=session.id,
            owner=session.owner,
            state=RunState.QUEUED,
            trainer=trainer,
            arguments_digest=arguments,
            spec_digest="",
            pipeline_digest=session.pipeline_digest,
            weights_digest=session.weights_digest,
            device="",
            traceparent=traceparent(),
        )
        return await self._start(run, session, document, config)

    async def _start(
        self, run: Run, session: Session, document: TrainRunDocument, config: TrainRunDocument | None
    ) -> Following:
        pipeline = stored_pipeline(await self._artifacts.get(run.pipeline_digest))
        check(run.trainer, document, pipeline, has_weights=run.weights_digest is not None)
        device = await asyncio.to_thread(self._launcher.device_of, run.trainer, document.training)
        spec_digest = await self._artifacts.put(canonical(document))
        run = replace(run, spec_digest=spec_digest, device=device)
        # Whatever ends this call on the way, the run is found again: see `LeaseManager.poll`.
        self._starting.add(run.id)
        try:
            return await self._begin_run(run, session, None if document == config else spec_digest)
        finally:
            self._starting.discard(run.id)

    async def _begin_run(self, run: Run, session: Session, config_digest: str | None) -> Following:
        """Write a run down, give it its session, and have it driven.

        Args:
            run: The run.
            session: Its session.
            config_digest: What becomes the session's run configuration: what ran last is what SaveTrainRun saves.
        """
        stopped = self._note("CANCELLED", NOT_STARTING)
        run = (await self._store.create(run, stopped, self._settings.quota_runs)).run
        if run.state.over:
            return self._streams.open(run, after_seq=0)

        def take(current: Session) -> dict[str, Any]:
            if current.active_run == run.id:
                return {}  # written already, by a try whose answer was lost
            if current.active_run != session.active_run or current.pipeline_digest != run.pipeline_digest:
                raise _busy(current)
            return {"active_run": run.id} | ({"run_config_digest": config_digest} if config_digest else {})

        try:
            await self._sessions.change(session.id, take)
        except SwathError:
            await self._store.discard(run.id)
            raise
        # As it is now: a stop may have come before this replica was known to hold it.
        self.supervisor.begin(await self._store.get(run.id))
        return self._streams.open(run)

    async def _config(self, session: Session) -> TrainRunDocument | None:
        if session.run_config_digest is None:
            return None
        return parse("trainrun", await self._artifacts.get(session.run_config_digest))

    async def stop(self, session_id: str) -> str:
        """Ask the session's run to stop, and its next Train not to start; return a text for people.

        The flag stays until SetTrainRunConfig: a client that runs phase after phase and stops in the first one does
        not start the second.
        """
        await self._sessions.get(session_id)
        async with self._turn(session_id):
            for run in await self._store.stop_session(session_id, StopCause.CLIENT):
                self.supervisor.tell(run)
        return STOP_TEXT

    async def status(self, session_id: str) -> bytes | None:
        """Return the last event of the session's last run, serialized; None if there never was one."""
        await self._sessions.get(session_id)
        run = await self._store.latest(session_id)
        if run is None:
            return None
        if run.code:
            return self._note("ERROR", run.message)
        entries = await self._store.entries(run.id, run.last_seq - 1)
        return entries[-1].payload if entries else self._note("RUNNING", "Waiting for a worker")

    async def logs(self, run_id: str, after: int = 0, *, follow: bool = False) -> AsyncGenerator[list[LoggedLine]]:
        """Yield what the workers of a run have logged after a line, some lines at a time.

        Args:
            run_id: A run of the caller's.
            after: Number of that line, 0 for all.
            follow: Whether to wait for what is still to come, until the run is over.

        Raises:
            RunNotFound: The caller has no such run.
            Unavailable: The server goes away first.
        """
        if not is_callers((await self._store.get(run_id)).owner):
            raise no_run(run_id)
        async with aclosing(self._lines.read(run_id, after, follow=follow)) as pages:
            async for page in pages:
                yield page

    # Life

    async def start(self) -> None:
        """Take up the runs that an earlier life of this replica left, and from now on those of others."""
        self._subscriptions_tasks = [
            asyncio.create_task(each.subscribe(self._notifications))
            for each in (self._log, self._lines, self._lease_manager)
        ]
        self._streams.start()
        await self._lease_manager.start()
        self._forgetting = asyncio.create_task(self._forget())

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then send their streams away."""
        self._draining = True
        # Charges last while workers write their checkpoints, which may take longer than a charge does.
        self._lease_manager.retire()
        await self.supervisor.drain()
        await self._lease_manager.stop()
        try:
            await self._store.leases.release()
        except SwathError as error:
            _log.warning("runs wait until their charge lapses before others take them", error=error.message)
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
        if self._subscriptions_tasks:
            await asyncio.wait(self._subscriptions_tasks)
        await self._launcher.close()
        await self._store.close()

    async def artifacts(self) -> set[str]:
        """Return the digests of artifacts that runs still need."""
        return await self._store.artifacts()

    async def _abandoned(self, run_id: str) -> None:
        await self.supervisor.stop(run_id, StopCause.ABANDONED)

    async def _take_over(self, run: Run) -> None:
        """Go on with a run of another replica, or of an earlier life of this one."""
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

    def _turn(self, session_id: str) -> asyncio.Lock:
        """Return the lock that puts a session's starts and stops in order."""
        return self._turns.setdefault(session_id, asyncio.Lock())

    async def _refuse_active(self, session: Session) -> None:
        if await self._active(session) is not None:
            raise _busy(session)

    async def _active(self, session: Session) -> Run | None:
        """Return the run that holds the session; a lease of one that is over or was never written is no hindrance."""
        if session.active_run is None:
            return None
        try:
            run = await self._store.get(session.active_run)
        except RunNotFound:
            return None
        return None if run.state.over else run

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


def _is_what_session_has(run: Run, session: Session) -> bool:
    """Whether the session is still as the run left it."""
    pipeline, weights = run.result_pipeline or run.pipeline_digest, run.result_weights or run.weights_digest
    return session.pipeline_digest == pipeline and session.weights_digest == weights


def _busy(session: Session) -> RunActive:
    return RunActive(
        f"Session {session.id} is training (run {session.active_run}): wait for its end, or call StopTrain",
        metadata={"session": session.id, "run": session.active_run or ""},
    )
