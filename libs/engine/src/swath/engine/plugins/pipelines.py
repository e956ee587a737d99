"""Pipelines of documents that may need plugins."""

from __future__ import annotations

from swath.documents import PipelineDocument, sources_of
from swath.engine.graph.pipeline import Pipeline
from swath.engine.plugins.loading import Plugins


def build_pipeline(document: PipelineDocument) -> Pipeline:
    """Build a pipeline of built-in nodes and those of the plugins that its document carries, in evaluation mode.

    Raises:
        GraphInvalid: Names the node and port, what was expected and what was got.
        PluginDenied, DependencyMissing, Precondition: A plugin cannot be loaded here.
    """
    return Pipeline.from_document(document, Plugins(sources_of(document)))
