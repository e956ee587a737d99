"""Pipelines that a trainrun brings along: found, validated and kept as artifacts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Protocol

from swath.documents import PipelineDocument, canonical, load_yaml, parse
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.errors import ConfigNotFound, FileMissing
from swath.storage import ArtifactStore, Base, Workspace


class Pipelines(Protocol):
    """Builds pipelines."""

    async def prepare(self, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
        """Make sure that a pipeline can be built, keep its document and return the digest.

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
        artifacts: Where documents are kept.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    async def prepare(self, document: PipelineDocument, plugins: Sequence[str] = ()) -> str:
        _, sealed = await asyncio.to_thread(SessionPlugins(plugins).build, document)
        return await self._artifacts.put(canonical(sealed))


def find_pipeline(reference: str, workspace: Workspace, search_paths: Sequence[str]) -> PipelineDocument:
    """Read the pipeline file that a trainrun names. Blocks: call it in a thread.

    A trainrun names its pipeline relative to its own folder (`../pipeline/rx.yaml`), which a config that came over the
    wire does not have any more. So leading `..` are dropped and the rest is looked for under the session's search
    paths, the configs root, its pipeline folder, and the workspace, with and without `.yaml`.

    Raises:
        ConfigNotFound: It is nowhere.
        PathDenied: It leads out of the allowed folders.
        DocumentInvalid: The file is no pipeline.
    """
    parts = PurePosixPath(reference).parts
    while parts and parts[0] == "..":
        parts = parts[1:]
    name = str(PurePosixPath(*parts))
    names = [name] if name.endswith((".yaml", ".yml")) else [name, f"{name}.yaml"]
    for base in (Base.CONFIGS, Base.PIPELINES, Base.ROOT):
        for each in names:
            with workspace.showing():
                try:
                    path = workspace.find(each, search_paths, base=base)
                except FileMissing:
                    continue
                return parse("pipeline", load_yaml(path.read_bytes(), source=each))
    raise ConfigNotFound(
        f"Pipeline file '{reference}' not found in search paths: {[*search_paths]}, nor in the configs or workspace",
        metadata={"path": reference[:256]},
    )
