"""Pipelines and weights as the engine builds them. Everything here blocks and imports torch: call it in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, canonical, stored_pipeline
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.storage import ArtifactStore

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline


def build(document: PipelineDocument) -> Pipeline:
    """Build a pipeline without weights.

    Raises:
        GraphInvalid: It is no graph that runs.
    """
    from swath.engine.graph.pipeline import Pipeline

    return Pipeline.from_document(document)


def open_pipeline(artifacts: ArtifactStore, pipeline_digest: str, weights_digest: str | None) -> Pipeline:
    """Build a pipeline of a session, with its weights if it has any."""
    pipeline = build(stored_pipeline(artifacts.get_sync(pipeline_digest)))
    if weights_digest is not None:
        load_weights(pipeline, artifacts.get_sync(weights_digest), strict=True)
    return pipeline


def load_weights(pipeline: Pipeline, data: bytes, *, strict: bool) -> None:
    """Load a weights file into a pipeline.

    Raises:
        WeightsInvalid: It is not safe to read, or does not fit.
    """
    from swath.engine.graph import weights

    state, _ = weights.load(data)
    pipeline.load_state(state, strict=strict)


def dump_weights(pipeline: Pipeline) -> bytes:
    """Return the weights file of a pipeline."""
    from swath.engine.graph import weights

    metadata = pipeline.metadata.model_dump() if pipeline.metadata else {}
    return weights.dump(pipeline.state(), metadata)


def store_pipeline(artifacts: ArtifactStore, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
    """Build a document to prove that it is a graph, store it with what it needs of plugins, and return its digest.

    Args:
        artifacts: Where it goes.
        document: The pipeline.
        plugins: Plugin manifests of its session, as JSON.

    Raises:
        GraphInvalid: It is no graph that runs.
        PluginDenied, Precondition: It needs a plugin that may not run here, or is not registered.
    """
    return artifacts.put_sync(canonical(SessionPlugins(plugins).build(document)[1]))
