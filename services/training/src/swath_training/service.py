"""Training: configurations of runs, runs, and the streams that follow them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from swath.documents import DataDocument, PipelineDocument, TrainingDocument, TrainRunDocument, canonical, digest, parse
from swath.errors import (
    InvalidInput,
    NotFitted,
    PipelineMissing,
    RunActive,
    RunNotFound,
    SessionNotFound,
    SwathError,
    Unavailable,
)
from swath.service.ports import Session, Sessions
from swath.storage import ArtifactStore, Workspace
from swath_training.audience import Audience
from swath_training.failures import restore
from swath_training.launcher import Launcher
from swath_training.log import EventLog
from swath_training.pipelines import Pipelines, find_pipeline
from swath_training.runs import Entry, Run, RunState, StopCause, Trainer
from swath_training.settings import TrainingSettings
from swath_training.store import RunStore
from swath_training.supervisor import Supervisor

NO_PIPELINE = "No pipeline attached to the session. Call LoadPipeline (or RestoreTrainRun) before SetTrainRunConfig."
NOT_STARTING = "Training run was cancelled; not starting this trainer phase"
STOP_TEXT = (
    "Stop requested; training stops at the next batch/node boundary "
    "and the Train stream ends with TRAIN_STATUS_CANCELLED"
)
_FORGET_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What Train is called with.

    Attributes:
        session_id: The session.
        trainer: Number of the phase.
        data: Data configuration as JSON, None to take the session's.
        training: Training configuration as JSON, None to take the session's.
        run_id: Run to attach to, whatever the other arguments; for clients that know it.
        after_seq: Last event of that run which the client has.
    """

    session_id: str
    trainer: int
    data: bytes | None = None
    training: bytes | None = None
    run_id: str | None = None
    after_seq: int = 0


class Following:
    """One stream's view of a run.

    Attributes:
        run_id: The run.
        seq: Last event that the stream was given.
    """

    def __init__(self, service: TrainingService, run_id: str, after_seq: int) -> None:
        self._service = service
        self.run_id = run_id
        self.seq = after_seq

    async def events(self) -> AsyncGenerator[Entry]:
        """Yield events until the run is over.

        Raises:
            SwathError: The run failed; or the server goes away first (Unavailable).
        """
        async with aclosing(self._service.follow(self.run_id, self.seq)) as entries:
            async for entry in entries:
                yield entry
                # The consumer came back for more: it has handed this one on.
                self.seq = entry.seq
                self._service.given(self.run_id, entry.seq)
        await self._service.see_off(self.run_id, self.seq)


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
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._workspace = workspace
        self._pipelines = pipelines
        self._launcher = launcher
        self._note = note
        self._log = EventLog(store)
        self.supervisor = Supervisor(settings, store, self._log, sessions, artifacts, launcher, note)
        self._audience = Audience(settings.attach_window_s, self._abandoned, store.delivered)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._draining = False
        self._forgetting: asyncio.Task[None] | None = None
        sessions.on_close(self._session_closed)

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
            changes = {"pipeline_digest": await self._pipelines.prepare(pipeline), "weights_digest": None}
        if isinstance(document.pipeline, PipelineDocument):
            document = document.model_copy(update={"pipeline": None})  # the session holds it
        changes["run_config_digest"] = await self._artifacts.put(canonical(document))

        def decide(current: Session) -> dict[str, Any]:
            if current.active_run != session.active_run:
                raise _busy(current)
            return changes

        await self._sessions.change(session_id, decide)
        await self._store.set_stop_flag(session_id, False)
        return pipeline is not None

    # Runs

    async def train(self, request: TrainRequest) -> Following:
        """Start a run, or attach to the one that these arguments belong to.

        Raises:
            SessionNotFound: No such session.
            RunNotFound: The run to attach to is not one of the session's.
            RunActive: The session is training with other arguments.
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
            raise RunNotFound(f"Run {run_id} not found", metadata={"run": run_id[:64]})
        return self._following(run, min(max(request.after_seq, 0), run.last_seq))

    async def _start_or_attach(self, request: TrainRequest) -> Following:
        session = await self._sessions.get(request.session_id)
        trainer = _trainer(request.trainer)
        config = await self._config(session)
        document = _effective(config, request, trainer)
        arguments = digest(canonical({"trainer": int(trainer), "trainrun": document.model_dump(mode="json")}))
        active = await self._active(session)
        if active is not None:
            if active.arguments_digest != arguments or active.pipeline_digest != session.pipeline_digest:
                raise _busy(session)
            return self._following(active, max(active.delivered_seq, self._audience.delivered(active.id)))
        unheard = await self._store.unheard(session.id, arguments, self._settings.attach_window_s)
        if unheard is not None and _is_what_session_has(unheard, session):
            return self._following(unheard, max(unheard.delivered_seq, self._audience.delivered(unheard.id)))
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
        )
        return await self._start(run, session, document, config)

    async def _start(
        self, run: Run, session: Session, document: TrainRunDocument, config: TrainRunDocument | None
    ) -> Following:
        await self._check(run, document)
        device = await asyncio.to_thread(_device, document.training)
        spec_digest = await self._artifacts.put(canonical(document))
        stopped = await self._store.stop_flag(session.id)
        run = replace(run, spec_digest=spec_digest, device=device)
        if stopped:
            run = replace(run, state=RunState.CANCELLED)
            await self._store.create(run, [self._note("CANCELLED", NOT_STARTING)])
            return self._following(run, 0)
        run = (await self._store.create(run)).run

        def take(current: Session) -> dict[str, Any]:
            if current.active_run != session.active_run or current.pipeline_digest != run.pipeline_digest:
                raise _busy(current)
            # What ran last is what SaveTrainRun saves.
            return {"active_run": run.id} | ({} if document == config else {"run_config_digest": spec_digest})

        try:
            await self._sessions.change(session.id, take)
        except SwathError:
            await self._store.discard(run.id)
            raise
        self.supervisor.begin(run)
        return self._following(run, 0)

    async def _check(self, run: Run, document: TrainRunDocument) -> None:
        """Refuse what can be seen to fail before a worker is started for it."""
        if run.trainer is Trainer.CALIBRATION and run.weights_digest is None:
            raise NotFitted(
                "The session holds no trained weights: restore a saved run with its weights, load weights, or train "
                "before a calibration"
            )
        if run.trainer is Trainer.GRADIENT and not document.loss_nodes:
            raise InvalidInput(
                "trainrun_config.loss_nodes must specify at least one loss node for gradient training. "
                "Add loss node names to your trainrun config YAML."
            )
        pipeline: PipelineDocument = parse("pipeline", await self._artifacts.get(run.pipeline_digest))
        names = {node.name for node in pipeline.nodes}
        for field in ("loss_nodes", "metric_nodes", "freeze_nodes", "unfreeze_nodes"):
            if unknown := [name for name in getattr(document, field) if name not in names]:
                raise InvalidInput(
                    f"{field}: no node {', '.join(unknown)} in the pipeline; it has {', '.join(sorted(names))}",
                    metadata={"field": field},
                )

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
            session = await self._sessions.get(session_id)
            await self._store.set_stop_flag(session_id, True)
            if session.active_run is not None:
                await self.supervisor.stop(session.active_run, StopCause.CLIENT)
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

    # Streams

    def _following(self, run: Run, after_seq: int) -> Following:
        return Following(self, run.id, after_seq)

    async def follow(self, run_id: str, after_seq: int) -> AsyncGenerator[Entry]:
        """Yield a run's events after a sequence number; see `EventLog.follow`. The run goes on while anybody does."""
        self._audience.enter(run_id)
        try:
            async with aclosing(self._log.follow(run_id, after_seq)) as entries:
                async for entry in entries:
                    yield entry
        finally:
            self._audience.leave(run_id)

    def given(self, run_id: str, seq: int) -> None:
        """Note that a stream has handed an event on."""
        self._audience.given(run_id, seq)

    async def see_off(self, run_id: str, seq: int) -> None:
        """Note that a stream has handed on everything of a run that is over.

        Raises:
            SwathError: What the run failed with.
        """
        await self._store.delivered(run_id, seq, end=True)
        self._audience.dismiss(run_id)
        run = await self._store.get(run_id)
        if run.code:
            raise restore(run.code, run.reason, run.message, run.details)

    # Life

    async def start(self) -> None:
        """Take up the runs that an earlier process left."""
        for run in await self._store.unfinished():
            self._audience.expect(run.id, run.delivered_seq)
            self.supervisor.begin(await self._with_lease(run))
        self._forgetting = asyncio.create_task(self._forget())

    async def drain(self) -> None:
        """Have runs write checkpoints and stop until the next start, then send their streams away."""
        self._draining = True
        await self.supervisor.drain()
        self._log.cut()

    async def close(self) -> None:
        """Let go of everything; runs that still go on are left to the next process."""
        self._draining = True
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.wait([self._forgetting])
        await self.supervisor.close()
        self._log.cut()
        await self._audience.close()
        await self._launcher.close()
        await self._store.close()

    async def artifacts(self) -> set[str]:
        """Return the digests of artifacts that runs still need."""
        return await self._store.artifacts()

    async def _with_lease(self, run: Run) -> Run:
        """Return a run of an earlier process, to be cancelled if its session is gone or was never taken."""
        try:
            session = await self._sessions.get(run.session_id)
        except SessionNotFound:
            session = None
        if run.state is RunState.ENDING or (session is not None and session.active_run == run.id):
            return run
        return await self._store.ask_stop(run.id, StopCause.SESSION_CLOSED)

    async def _abandoned(self, run_id: str) -> None:
        self._audience.dismiss(run_id)
        await self.supervisor.stop(run_id, StopCause.ABANDONED)

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

    async def _session_closed(self, session: Session) -> None:
        await self.supervisor.close_session(session)
        await self._store.set_stop_flag(session.id, False)

    async def _forget(self) -> None:
        while True:
            self._launcher.forget(await self._store.forget(self._settings.retention_s))
            await asyncio.sleep(_FORGET_EVERY_S)


def _trainer(number: int) -> Trainer:
    try:
        return Trainer(number)
    except ValueError:
        raise InvalidInput(f"Unknown trainer type: {number}") from None


def _effective(config: TrainRunDocument | None, request: TrainRequest, trainer: Trainer) -> TrainRunDocument:
    """Return the session's configuration with what the request replaces."""
    data: DataDocument | None = config.data if config else None
    if request.data is not None:
        data = parse("data", request.data)
    if data is None:
        raise InvalidInput(
            "Training requires data config to be provided either in request or loaded via RestoreTrainRun"
        )
    training: TrainingDocument | None = config.training if config else None
    if request.training is not None:
        training = parse("training", request.training)
    if trainer is Trainer.GRADIENT and training is None:
        raise InvalidInput("Gradient training requires training config either in request or loaded via RestoreTrainRun")
    if config is None:
        return TrainRunDocument(name="trainrun", data=data, training=training)
    return config.model_copy(update={"data": data, "training": training})


def _is_what_session_has(run: Run, session: Session) -> bool:
    """Whether the session is still as the run left it."""
    pipeline, weights = run.result_pipeline or run.pipeline_digest, run.result_weights or run.weights_digest
    return session.pipeline_digest == pipeline and session.weights_digest == weights


def _busy(session: Session) -> RunActive:
    return RunActive(
        f"Session {session.id} is training (run {session.active_run}): wait for its end, or call StopTrain",
        metadata={"session": session.id, "run": session.active_run or ""},
    )


def _device(training: TrainingDocument | None) -> str:
    from swath.engine.training.device import device_of  # imports torch, which takes seconds: not at import

    return str(device_of(training))
