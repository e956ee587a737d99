"""Pipelines that come with a trainrun: found, validated and stored as artifacts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from swath.documents import PipelineDocument, canonical, load_yaml, parse
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.errors import ConfigNotFound
from swath.storage import ArtifactStore, Workspace
from swath.storage.workspace import trainruns


class Pipelines(Protocol):
    """Builds pipelines."""

    async def prepare(self, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
        """Make sure that a pipeline can be built, store its document and return the digest.

        Args:
            document: The pipeline.
            plugins: Plugin manifests of its session, as JSON.

        Raises:
            GraphInvalid: It cannot be built.
            PluginDenied, Precondition: It needs a plugin that may not run here, or is not registered.
        """
        ...


class EnginePipelines:
    """Builds pipelines with the engine, in a thread of this process.

    Args:
        artifacts: Where documents are stored.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def prepare(self, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
        _, sealed = await asyncio.to_thread(SessionPlugins(plugins).build, document)
        return await self._artifacts.put(canonical(sealed))


def find_pipeline(reference: str, workspace: Workspace, search_paths: Sequence[str]) -> PipelineDocument:
    """Read the pipeline file that a trainrun names. Blocks: call it in a thread.

    A config that came over the wire has no folder of its own any more: see `swath.storage.workspace.trainruns`.

    Raises:
        ConfigNotFound: It is nowhere.
        PathDenied: It leads out of the allowed folders.
        DocumentInvalid: The file is no pipeline.
    """
    with workspace.showing():
        folders = workspace.search_path(search_paths)
        file = trainruns.find_pipeline(workspace, reference, folders, error=ConfigNotFound)
        return parse("pipeline", load_yaml(file.read_bytes(), source=reference))
