"""Pipelines as services store them: a document and a weights file, each the bytes of an artifact.

The one place where a pipeline is built from what its digests stand for: to be trained, to be run, to be saved.
"""

from __future__ import annotations

from swath.documents import stored_pipeline
from swath.engine.graph import weights as files
from swath.engine.graph.pipeline import Pipeline
from swath.engine.plugins.pipelines import build_pipeline


def open_pipeline(document: bytes, weights: bytes | None = None) -> Pipeline:
    """Build a stored pipeline, in evaluation mode on the CPU.

    Args:
        document: Its document, as a service stored it: it says whose code runs, so never what a client sent.
        weights: Its weights file, which must match it node by node; None leaves it without weights.

    Raises:
        DocumentInvalid, GraphInvalid: The document is none of a pipeline that runs.
        PluginDenied, DependencyMissing, Precondition: It needs a plugin that cannot be loaded here.
        WeightsInvalid: The weights are unsafe to read, or do not fit.
    """
    pipeline = build_pipeline(stored_pipeline(document))
    if weights is not None:
        load_weights(pipeline, weights, strict=True)
    return pipeline


def load_weights(pipeline: Pipeline, data: bytes, *, strict: bool) -> None:
    """Load a weights file into a pipeline.

    Args:
        pipeline: The pipeline.
        data: The file.
        strict: Whether it must match node by node; otherwise nodes that it lacks stay as they are.

    Raises:
        WeightsInvalid: It is unsafe to read, or does not fit.
    """
    state, _ = files.load(data)
    pipeline.load_state(state, strict=strict)


def dump_weights(pipeline: Pipeline) -> bytes:
    """Return the weights file of a pipeline, with its metadata."""
    return files.dump(pipeline.state(), pipeline.metadata.model_dump() if pipeline.metadata else {})
