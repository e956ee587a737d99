"""What becomes of a Train call: it attaches to a run, starts one, or is refused.

Refused for lack of quota is a run where it is added to the database, in the same transaction that counts the owner's
runs: `runs/database/quotas.py`, called by `RunStore.create`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from swath.documents import TrainRunDocument, canonical, parse, stored_pipeline
from swath.errors import PipelineMissing, RunActive, RunNotFound, SwathError
from swath.rpc.tracing import traceparent
from swath.sessions.model import Session, Sessions
from swath.storage import ArtifactStore
from swath_training.api.requests import TrainRequest, arguments_of, check, effective, trainer_of
from swath_training.api.streams import Following, Streams
from swath_training.runs.database.rows import no_run
from swath_training.runs.database.store import RunStore
from swath_training.runs.hashes import with_hash
from swath_training.runs.items import EventCodec
from swath_training.runs.model import Run, RunState
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher
from swath_training.supervise.supervisor import Supervisor

NO_PIPELINE = "No pipeline attached to the session. Call LoadPipeline (or RestoreTrainRun) before Train."
NOT_STARTING = "Training run was cancelled; not starting this trainer phase"


class Admission:
    """Starts runs, or attaches to those that are there.

    Args:
        settings: Times and limits.
        store: Runs on disk.
        sessions: The authority over sessions.
        artifacts: Where documents are.
        launcher: Knows which devices there are.
        codec: Makes events of the service.
        supervisor: Drives runs.
        streams: Follows them.

    Attributes:
        starting: Ids of runs that a call here is about to begin.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        store: RunStore,
        sessions: Sessions,
        artifacts: ArtifactStore,
        launcher: Launcher,
        codec: EventCodec,
        supervisor: Supervisor,
        streams: Streams,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._launcher = launcher
        self._codec = codec
        self._supervisor = supervisor
        self._streams = streams
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.starting: set[str] = set()

    def turn(self, session_id: str) -> asyncio.Lock:
        """Return the lock that puts a session's starts and stops in order."""
        return self._turns.setdefault(session_id, asyncio.Lock())

    async def refuse_active(self, session: Session) -> None:
        """Refuse what must not happen while a session is training.

        Raises:
            RunActive: It is.
        """
        if await self._active(session) is not None:
            raise busy(session)

    async def train(self, request: TrainRequest) -> Following:
        """Start a run, or attach to the one that these arguments belong to; errors as of `TrainingService.train`."""
        session = await self._sessions.get(request.session_id)
        if request.run_id is not None:
            return await self._attach(request, request.run_id)
        async with self.turn(session.id):
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
                raise busy(session)
            return self._streams.open(active)
        ended_undelivered = await self._store.ended_undelivered(session.id, arguments, self._settings.attach_window_s)
        if ended_undelivered is not None and _is_what_session_has(ended_undelivered, session):
            return self._streams.open(ended_undelivered)
        if session.pipeline_digest is None:
            raise PipelineMissing(NO_PIPELINE)
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
            experiment=request.experiment or session.id,
            name=request.name,
        )
        return await self._start(run, session, document, config)

    async def _start(
        self, run: Run, session: Session, document: TrainRunDocument, config: TrainRunDocument | None
    ) -> Following:
        pipeline = stored_pipeline(await self._artifacts.get(run.pipeline_digest))
        check(run.trainer, document, pipeline, has_weights=run.weights_digest is not None)
        device = await asyncio.to_thread(self._launcher.device_of, run.trainer, document.training)
        spec_digest = await self._artifacts.put(canonical(document))
        run = with_hash(replace(run, spec_digest=spec_digest, device=device), document)
        # Whatever ends this call on the way, the run is found again: see `LeaseManager.poll`.
        self.starting.add(run.id)
        try:
            return await self._add(run, session, None if document == config else spec_digest)
        finally:
            self.starting.discard(run.id)

    async def _add(self, run: Run, session: Session, config_digest: str | None) -> Following:
        """Write a run, give it its session, and have it driven.

        Args:
            run: The run.
            session: Its session.
            config_digest: What becomes the session's run configuration: SaveTrainRun saves what ran last.
        """
        stopped = self._codec.note("CANCELLED", NOT_STARTING)
        run = (await self._store.create(run, stopped, self._settings.quota_runs)).run
        if run.state.over:
            return self._streams.open(run, after_seq=0)

        def take(current: Session) -> dict[str, Any]:
            if current.active_run == run.id:
                return {}  # written already, by a try whose answer was lost
            if current.active_run != session.active_run or current.pipeline_digest != run.pipeline_digest:
                raise busy(current)
            return {"active_run": run.id} | ({"run_config_digest": config_digest} if config_digest else {})

        try:
            await self._sessions.change(session.id, take)
        except SwathError:
            await self._store.discard(run.id)
            raise
        # As it is now: a stop may have come before this replica was known to hold it.
        self._supervisor.begin(await self._store.get(run.id))
        return self._streams.open(run)

    async def _config(self, session: Session) -> TrainRunDocument | None:
        if session.run_config_digest is None:
            return None
        return parse("trainrun", await self._artifacts.get(session.run_config_digest))

    async def _active(self, session: Session) -> Run | None:
        """Return the run that holds the session; a run that is over or was never written does not hold it."""
        if session.active_run is None:
            return None
        try:
            run = await self._store.get(session.active_run)
        except RunNotFound:
            return None
        return None if run.state.over else run


def _is_what_session_has(run: Run, session: Session) -> bool:
    """Whether the session is still as the run left it."""
    pipeline, weights = run.result_pipeline or run.pipeline_digest, run.result_weights or run.weights_digest
    return session.pipeline_digest == pipeline and session.weights_digest == weights


def busy(session: Session) -> RunActive:
    """Return the refusal of what must not happen while a session is training."""
    return RunActive(
        f"Session {session.id} is training (run {session.active_run}): wait for its end, or call StopTrain",
        metadata={"session": session.id, "run": session.active_run or ""},
    )
