"""Pipelines, weights and runs of sessions as artifacts. Everything here blocks, and most of it imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, TrainRunDocument, canonical, parse, stored_pipeline
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.sessions.model import Session
from swath.sessions.preconditions import pipeline_of
from swath.storage import ArtifactStore

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline


class PipelineArtifacts:
    """Puts pipelines and their weights into the artifact store and builds them from there.

    Args:
        store: The artifact store.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def open(self, pipeline_digest: str, weights_digest: str | None) -> Pipeline:
        """Build a pipeline of a session, with its weights if it has any.

        Raises:
            ArtifactMissing: A digest is not in the store.
        """
        from swath.engine.stored import open_pipeline

        weights = self._store.get_sync(weights_digest) if weights_digest is not None else None
        return open_pipeline(self._store.get_sync(pipeline_digest), weights)

    def put(self, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
        """Build a document to prove that it is a graph, store it with what it needs of plugins, return its digest.

        Args:
            document: The pipeline.
            plugins: Plugin manifests of its session, as JSON.

        Raises:
            GraphInvalid: It is no graph that runs.
            PluginDenied, Precondition: It needs a plugin that may not run here, or is not registered.
        """
        return self._store.put_sync(canonical(SessionPlugins(plugins).build(document)[1]))

    def merge_weights(self, session: Session, data: bytes, *, strict: bool) -> str:
        """Load a weights file over those of a session, store the weights of the whole pipeline, return their digest.

        Args:
            session: The session; it has a pipeline.
            data: The file.
            strict: Whether it must match node by node; otherwise nodes that it lacks stay as the session has them.

        Raises:
            WeightsInvalid: The file is unsafe or does not fit.
        """
        return self._put_weights(
            self.open(pipeline_of(session), None if strict else session.weights_digest), data, strict=strict
        )

    def put_run(
        self,
        run: TrainRunDocument,
        pipeline: PipelineDocument,
        weights: bytes | None,
        plugins: Sequence[str],
        *,
        strict: bool,
    ) -> dict[str, str]:
        """Store a run config and weights of its pipeline; return their digests by the session's fields.

        Args:
            run: The run config; stored without its pipeline, which its session has.
            pipeline: The pipeline.
            weights: A weights file, if there is one.
            plugins: Plugin manifests of the session, as JSON.
            strict: Whether the file must match node by node.

        Raises:
            GraphInvalid: The pipeline is no graph that runs.
            WeightsInvalid: The file is unsafe or does not fit.
        """
        digests = {}
        if weights is not None:
            built, _ = SessionPlugins(plugins).build(pipeline)
            digests["weights_digest"] = self._put_weights(built, weights, strict=strict)
        stored = canonical(run.model_copy(update={"pipeline": None}))
        return {**digests, "run_config_digest": self._store.put_sync(stored)}

    def document(self, digest: str) -> PipelineDocument:
        """Return the document of a pipeline."""
        return stored_pipeline(self._store.get_sync(digest))

    def run(self, digest: str) -> TrainRunDocument:
        """Return a run config."""
        return parse("trainrun", self._store.get_sync(digest))

    def _put_weights(self, pipeline: Pipeline, data: bytes, *, strict: bool) -> str:
        from swath.engine.stored import dump_weights, load_weights

        load_weights(pipeline, data, strict=strict)
        return self._store.put_sync(dump_weights(pipeline))
