"""Pipelines of sessions: loaded, saved, restored, described and drawn."""

from __future__ import annotations

import asyncio
import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from swath.documents import PipelineDocument, PipelineMetadata, PluginManifest, TrainRunDocument, parse
from swath.engine.plugins.session_plugins import manifests
from swath.errors import InvalidInput, Precondition
from swath.rpc.shielded import shielded
from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import pipeline_of, require_idle
from swath.storage import ArtifactStore, Workspace
from swath_pipeline import introspection
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.catalogue import CatalogueEntry, PipelineCatalogue
from swath_pipeline.files import PipelineFiles, SavedPipeline, SavedRun
from swath_pipeline.introspection import Specs
from swath_pipeline.plugins import plugin_of, read_manifest, with_plugin

if TYPE_CHECKING:
    from swath.engine.graph.describe import Description
    from swath.engine.graph.ports import Port
    from swath.engine.graph.registry import Entry

CLIENT_BYTES = "(client-bytes)"
"""What stands for the path of weights that came with the call."""

_MAX_SPECS = 1024


class PipelineService:
    """Decides what calls about pipelines do with a session.

    Args:
        sessions: Sessions as callers see them.
        artifacts: Where documents and weights are.
        workspace: Where files go and come from.
    """

    def __init__(self, sessions: Sessions, artifacts: ArtifactStore, workspace: Workspace) -> None:
        self._sessions = sessions
        self._artifacts = PipelineArtifacts(artifacts)
        self._files = PipelineFiles(self._artifacts, workspace)
        self._catalogue = PipelineCatalogue(workspace)
        # Sessions of one pipeline ask for the same, and digests never come to mean something else.
        self._specs = lru_cache(maxsize=_MAX_SPECS)(self._open_specs)

    async def warm_up(self) -> None:
        """Import the engine, which takes seconds."""
        await asyncio.to_thread(importlib.import_module, "swath.engine.graph.pipeline")

    # Documents and weights into a session

    async def load_pipeline(self, session_id: str, config: bytes, data_module: str = "") -> PipelineMetadata:
        """Give the session a pipeline without weights and return its metadata.

        Args:
            session_id: The session.
            config: JSON of a pipeline document.
            data_module: Data module that runs are going to read with, if it is known already.

        Raises:
            DocumentInvalid: It is no pipeline document.
            GraphInvalid: It is no graph that runs.
            InvalidInput: There is no such data module.
            Precondition: It needs a plugin that is not registered.
            PluginDenied: It needs a plugin that the operator does not allow.
            RunActive: The session is training.
        """
        session = await self._sessions.get(session_id)
        require_idle(session, "LoadPipeline")
        document: PipelineDocument = await asyncio.to_thread(parse, "pipeline", config)
        if data_module:
            await asyncio.to_thread(introspection.require_data_module, data_module, session.plugins)
        await self._put_pipeline(session, document)
        return document.metadata or PipelineMetadata(name="")

    async def load_weights(self, session_id: str, *, path: str | None, data: bytes | None, strict: bool) -> str:
        """Load weights into the session's pipeline and return where they came from.

        Raises:
            PipelineMissing: The session has no pipeline.
            InvalidInput: Neither a path nor bytes.
            FileMissing: No such file.
            PathDenied: The path leaves the allowed roots.
            WeightsInvalid: The file is unsafe or does not fit.
            RunActive: The session is training.
        """
        session = await self._sessions.get(session_id)
        pipeline_digest = pipeline_of(session)
        require_idle(session, "LoadPipelineWeights")
        if data is None and not path:
            raise InvalidInput("Provide either weights_path or weights_bytes")
        source = CLIENT_BYTES
        if data is None:
            assert path is not None
            data, source = await asyncio.to_thread(self._files.read_weights, path, session.search_paths)
        digest = await asyncio.to_thread(self._artifacts.merge_weights, session, data, strict=strict)

        def decide(current: Session) -> dict[str, Any]:
            require_idle(current, "LoadPipelineWeights")
            if current.pipeline_digest != pipeline_digest:
                raise Precondition(
                    "the session got another pipeline while its weights were being loaded: repeat the call"
                )
            return {"weights_digest": digest}

        await self._sessions.change(session, decide)
        return source

    # Files of the workspace

    async def pipelines(self, tag: str | None = None) -> list[CatalogueEntry]:
        """Return the pipelines below configs/pipeline; see `PipelineCatalogue.all`."""
        return await self._catalogue.all(tag)

    async def pipeline(self, path: str) -> CatalogueEntry:
        """Return one pipeline below configs/pipeline; see `PipelineCatalogue.one`."""
        return await self._catalogue.one(path)

    async def save_pipeline(self, session_id: str, path: str, metadata: dict[str, Any]) -> SavedPipeline:
        """Write the session's pipeline and its weights to files; see `PipelineFiles.save_pipeline`.

        Raises:
            PipelineMissing: The session has no pipeline.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        if not path:
            raise InvalidInput("pipeline_path is empty")
        return await asyncio.to_thread(self._files.save_pipeline, session, path, metadata)

    async def save_run(self, session_id: str, path: str, *, weights: bool) -> SavedRun:
        """Write the session's run config and its pipeline to files; see `PipelineFiles.save_run`.

        Raises:
            PipelineMissing: The session has no pipeline.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        if not path:
            raise InvalidInput("trainrun_path is empty")
        return await asyncio.to_thread(self._files.save_run, session, path, weights=weights)

    async def restore_run(
        self, path: str, weights_path: str | None, *, strict: bool, session_id: str
    ) -> tuple[str, TrainRunDocument]:
        """Bring a saved run into a session, with the weights given or else those saved beside its pipeline.

        Args:
            path: The run's YAML file.
            weights_path: A weights file; None takes the one beside the pipeline, if there is one.
            strict: Whether weights must match the pipeline node by node.
            session_id: Session to restore into; empty makes one of the caller's.

        Returns:
            The session and the run.

        Raises:
            FileMissing: No such file.
            DocumentInvalid: The file is no run, or one that is still to be composed.
            GraphInvalid: The pipeline is no graph that runs.
            WeightsInvalid: The weights are unsafe or do not fit.
            RunActive: The session is training.
        """
        if not path:
            raise InvalidInput("trainrun_path is empty")
        session = await self._sessions.get(session_id) if session_id else None
        if session is not None:
            require_idle(session, "RestoreTrainRun")
        search_paths, plugins = (session.search_paths, session.plugins) if session is not None else ((), ())
        found = await asyncio.to_thread(self._files.read_run, path, weights_path, search_paths)
        run = (found.config, found.pipeline, found.weights, plugins)
        changes = await asyncio.to_thread(self._artifacts.put_run, *run, strict=strict)
        if session is not None:
            await self._put_pipeline(session, found.pipeline, **changes)
            return session.id, found.config
        session = await self._sessions.create()
        try:
            await self._put_pipeline(session, found.pipeline, **changes)
        except BaseException:
            # Nobody knows its id.
            await shielded(self._sessions.close(session.id))
            raise
        return session.id, found.config

    # What a pipeline is

    async def inputs(self, session_id: str) -> dict[str, Port]:
        """Return the ports that a batch has to fill, by key, dimensions as numbers."""
        return (await self._specs_of(session_id)).inputs

    async def outputs(self, session_id: str) -> dict[str, Port]:
        """Return the outputs that no other node takes, by `node.port`, dimensions as numbers."""
        return (await self._specs_of(session_id)).outputs

    async def draw(self, session_id: str, kind: str) -> tuple[bytes, str]:
        """Draw the session's pipeline.

        Args:
            session_id: The session.
            kind: png, svg, dot, graphviz or mermaid; empty means png.

        Returns:
            The drawing and its format.

        Raises:
            InvalidInput: Another format.
        """
        kind = introspection.drawing_format(kind)
        session = await self._sessions.get(session_id)
        digest = pipeline_of(session)
        pipeline = await asyncio.to_thread(self._artifacts.open, digest, session.weights_digest)
        return await asyncio.to_thread(introspection.draw, pipeline, kind), kind

    async def draw_document(self, content: str, kind: str) -> tuple[bytes, str]:
        """Draw a pipeline that is no session's; see `introspection.draw_document`."""
        return await asyncio.to_thread(introspection.draw_document, content, kind)

    async def node_classes(self, session_id: str) -> tuple[list[Entry], list[PluginManifest]]:
        """Return the built-in node classes and the manifests of the session's plugins, which name further ones."""
        session = await self._sessions.get(session_id)
        return await asyncio.to_thread(introspection.node_classes), list(manifests(session.plugins).values())

    async def describe_nodes(self, session_id: str, names: tuple[str, ...]) -> list[Description]:
        """Describe node classes, those of a session's plugins among them; see `introspection.describe_nodes`.

        Args:
            session_id: A session, or nothing.
            names: Full or bare names; nothing means all classes.
        """
        plugins = (await self._sessions.get(session_id)).plugins if session_id else ()
        return await asyncio.to_thread(introspection.describe_nodes, plugins, names)

    # Plugins of a session

    async def register_plugin(self, session_id: str, config: bytes) -> tuple[str, str]:
        """Record a plugin in the session; one of the same name is replaced. Nothing is installed.

        Returns:
            Name of the plugin and an empty text, or an empty name and what is wrong with the manifest.

        Raises:
            DocumentInvalid: It is no JSON object at all, or too large.
            Exhausted: The session has as many plugins as it may have.
        """
        session = await self._sessions.get(session_id)
        try:
            manifest = read_manifest(config)
        except ValidationError as error:
            return "", str(error)
        await self._sessions.change(session, lambda current: {"plugins": with_plugin(current, manifest)})
        return manifest.name, ""

    async def plugins(self, session_id: str) -> list[PluginManifest]:
        """Return the manifests of the session in the order of their registration."""
        return list(manifests((await self._sessions.get(session_id)).plugins).values())

    async def plugin(self, session_id: str, name: str) -> PluginManifest:
        """Return one manifest of the session.

        Raises:
            NotFound: No plugin of that name is registered.
        """
        return plugin_of(await self._sessions.get(session_id), name)

    async def _put_pipeline(self, session: Session, document: PipelineDocument, **changes: Any) -> Session:
        """Store a document and point the session at it, without weights unless `changes` bring some."""
        digest = await asyncio.to_thread(self._artifacts.put, document, session.plugins)

        def decide(current: Session) -> dict[str, Any]:
            require_idle(current, "LoadPipeline")
            return {"pipeline_digest": digest, "weights_digest": None, **changes}

        return await self._sessions.change(session, decide)

    async def _specs_of(self, session_id: str) -> Specs:
        session = await self._sessions.get(session_id)
        return await asyncio.to_thread(self._specs, pipeline_of(session), session.weights_digest)

    def _open_specs(self, pipeline_digest: str, weights_digest: str | None) -> Specs:
        return Specs.of(self._artifacts.open(pipeline_digest, weights_digest))
