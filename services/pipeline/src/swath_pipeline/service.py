"""Brings pipelines and weights into sessions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from swath.documents import PipelineDocument, PipelineMetadata, parse
from swath.engine.plugins.session_plugins import SessionPlugins
from swath.errors import InvalidInput, Precondition
from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import pipeline_of, require_idle
from swath.storage import ArtifactStore, Workspace
from swath_pipeline import workbench

CLIENT_BYTES = "(client-bytes)"
"""What stands for the path of weights that came with the call."""


class Loading:
    """LoadPipeline and LoadPipelineWeights.

    Args:
        sessions: The sessions' authority.
        artifacts: Where documents and weights go.
        workspace: Where weights files are.
    """

    def __init__(self, sessions: Sessions, artifacts: ArtifactStore, workspace: Workspace) -> None:
        self._sessions = sessions
        self._artifacts = artifacts
        self._workspace = workspace

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
            await asyncio.to_thread(_require_data_module, data_module, session)
        await self.put_pipeline(session, document)
        return document.metadata or PipelineMetadata(name="")

    async def put_pipeline(self, session: Session, document: PipelineDocument, **changes: Any) -> Session:
        """Store a document and point the session at it, without weights unless `changes` bring some."""
        digest = await asyncio.to_thread(workbench.store_pipeline, self._artifacts, document, session.plugins)

        def decide(current: Session) -> dict[str, Any]:
            require_idle(current, "LoadPipeline")
            return {"pipeline_digest": digest, "weights_digest": None, **changes}

        return await self._sessions.change(session.id, decide)

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
            data, source = await asyncio.to_thread(self._read_weights, path, session)
        digest = await asyncio.to_thread(
            self._merge_weights, pipeline_digest, session.weights_digest, data, strict=strict
        )

        def decide(current: Session) -> dict[str, Any]:
            require_idle(current, "LoadPipelineWeights")
            if current.pipeline_digest != pipeline_digest:
                raise Precondition(
                    "the session got another pipeline while its weights were being loaded: repeat the call"
                )
            return {"weights_digest": digest}

        await self._sessions.change(session_id, decide)
        return source

    def _read_weights(self, path: str, session: Session) -> tuple[bytes, str]:
        """Return a weights file's bytes, and where it is as clients know it."""
        name = path if Path(path).suffix else f"{path}.pt"
        with self._workspace.showing():
            found = self._workspace.find(name, session.search_paths)
            return found.read_bytes(), self._workspace.shown(found)

    def _merge_weights(self, pipeline_digest: str, before: str | None, data: bytes, *, strict: bool) -> str:
        # A file that does not cover all nodes leaves the others as the session had them.
        pipeline = workbench.open_pipeline(self._artifacts, pipeline_digest, None if strict else before)
        workbench.load_weights(pipeline, data, strict=strict)
        return self._artifacts.put_sync(workbench.dump_weights(pipeline))


def _require_data_module(name: str, session: Session) -> None:
    from swath.engine import data  # imports torch

    sealing = SessionPlugins(session.plugins)
    known = sorted({*data.available(), *sealing.data_modules()})
    if name not in known:
        raise sealing.data_module_refusal(name) or InvalidInput(
            f"no plugin provides data module '{name}'; available: {known}"
        )
