"""Pipelines and weights as the engine builds them. Everything here blocks and imports torch: call it in a thread."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, canonical, parse
from swath.storage import ArtifactStore

if TYPE_CHECKING:
    from swath.engine.pipeline import Pipeline


def build(document: PipelineDocument) -> Pipeline:
    """Build a pipeline without weights.

    Raises:
        GraphInvalid: It is no graph that runs.
    """
    from swath.engine.pipeline import Pipeline

    return Pipeline.from_document(document)


def open_pipeline(artifacts: ArtifactStore, pipeline_digest: str, weights_digest: str | None) -> Pipeline:
    """Build a pipeline of a session, with its weights if it has any."""
    document: PipelineDocument = parse("pipeline", json.loads(artifacts.get_sync(pipeline_digest)))
    pipeline = build(document)
    if weights_digest is not None:
        load_weights(pipeline, artifacts.get_sync(weights_digest), strict=True)
    return pipeline


def load_weights(pipeline: Pipeline, data: bytes, *, strict: bool) -> None:
    """Load a weights file into a pipeline.

    Raises:
        WeightsInvalid: It is not safe to read, or does not fit.
    """
    from swath.engine import weights

    state, _ = weights.load(data)
    pipeline.load_state(state, strict=strict)


def dump_weights(pipeline: Pipeline) -> bytes:
    """Return the weights file of a pipeline."""
    from swath.engine import weights

    metadata = pipeline.metadata.model_dump() if pipeline.metadata else {}
    return weights.dump(pipeline.state(), metadata)


def store_pipeline(artifacts: ArtifactStore, document: PipelineDocument) -> str:
    """Build a document to prove that it is a graph, store it and return its digest.

    Raises:
        GraphInvalid: It is no graph that runs.
    """
    build(document)
    return artifacts.put_sync(canonical(document))
