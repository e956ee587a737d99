"""SetTrainRunConfig: what a session's runs are."""

from __future__ import annotations

import asyncio
from typing import Any

from swath.documents import PipelineDocument, TrainRunDocument, canonical, parse
from swath.errors import PipelineMissing
from swath.sessions.model import Session, Sessions
from swath.storage import ArtifactStore, Workspace
from swath_training.api.admission import Admission, busy
from swath_training.api.pipelines import Pipelines, find_pipeline
from swath_training.runs.database.store import RunStore

_NO_PIPELINE = "No pipeline attached to the session. Call LoadPipeline (or RestoreTrainRun) before SetTrainRunConfig."


class RunConfigs:
    """Sets run configurations of sessions.

    Args:
        store: Runs on disk.
        sessions: The authority over sessions.
        artifacts: Where documents are.
        workspace: What paths mean.
        pipelines: Builds pipelines that come with a configuration.
        admission: Knows which sessions are training.
    """

    def __init__(
        self,
        store: RunStore,
        sessions: Sessions,
        artifacts: ArtifactStore,
        workspace: Workspace,
        pipelines: Pipelines,
        admission: Admission,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._workspace = workspace
        self._pipelines = pipelines
        self._admission = admission

    async def set(self, session_id: str, config: bytes) -> bool:
        """Set a session's run configuration; errors and answer as of `TrainingService.set_run_config`."""
        session = await self._sessions.get(session_id)
        await self._admission.refuse_active(session)
        document: TrainRunDocument = parse("trainrun", config)
        pipeline = document.pipeline
        if pipeline is None and session.pipeline_digest is None:
            raise PipelineMissing(_NO_PIPELINE)
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
                raise busy(current)
            return changes

        await self._sessions.change(session, decide)
        await self._store.clear_stop(session_id)
        return pipeline is not None
