"""Tells what a pipeline takes and gives, draws it, and lists the node classes there are."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swath.documents import PipelineDocument, load_yaml, parse
from swath.errors import InvalidInput
from swath.service import Session, Sessions, pipeline_of
from swath.storage import ArtifactStore
from swath_pipeline import workbench
from swath_pipeline.plugins import PluginManifest, manifests

if TYPE_CHECKING:
    from swath.engine.pipeline import Pipeline
    from swath.engine.ports import Port
    from swath.engine.registry import Entry

IMAGES = ("png", "svg")
DOT_TEXT = ("dot", "graphviz")
MAX_BYTES = 1_000_000
MAX_ELEMENTS = 2000


class Introspection:
    """GetPipelineInputs, GetPipelineOutputs, GetPipelineVisualization and ListAvailableNodes.

    Args:
        sessions: The sessions' authority.
        artifacts: Where pipelines and weights of sessions are.
    """

    def __init__(self, sessions: Sessions, artifacts: ArtifactStore) -> None:
        self._sessions = sessions
        self._artifacts = artifacts

    async def inputs(self, session_id: str) -> dict[str, Port]:
        """Return the ports that a batch has to fill, by key, dimensions as numbers."""
        return await self._with_pipeline(session_id, lambda pipeline: pipeline.input_specs())

    async def outputs(self, session_id: str) -> dict[str, Port]:
        """Return the outputs that no other node takes, by `node.port`, dimensions as numbers."""
        return await self._with_pipeline(session_id, lambda pipeline: pipeline.output_specs())

    async def draw(self, session_id: str, kind: str) -> tuple[bytes, str]:
        """Draw the session's pipeline.

        Args:
            session_id: The session.
            kind: png, svg, dot, graphviz or mermaid; empty means png.

        Returns:
            The drawing and its format: the one asked for, or dot where no program is there to make an image.

        Raises:
            InvalidInput: Another format.
        """
        kind = kind.lower() or "png"
        if kind not in (*IMAGES, *DOT_TEXT, "mermaid"):
            raise InvalidInput(
                f"Unsupported visualization format: {kind}; expected one of {[*IMAGES, *DOT_TEXT, 'mermaid']}"
            )
        return await self._with_pipeline(session_id, lambda pipeline: _draw(pipeline, kind))

    async def draw_document(self, content: str, kind: str) -> tuple[bytes, str]:
        """Draw a pipeline that is no session's; a format that is not known gives a png.

        Raises:
            InvalidInput: The document is too large.
            DocumentInvalid: It is no pipeline document.
        """
        if len(content.encode()) > MAX_BYTES:
            raise InvalidInput(f"config_content has {len(content.encode())} bytes, more than {MAX_BYTES}")
        kind = kind.lower()
        return await asyncio.to_thread(
            _draw_document, content, kind if kind in (*IMAGES, *DOT_TEXT, "mermaid") else "png"
        )

    async def nodes(self, session_id: str) -> tuple[list[Entry], list[PluginManifest]]:
        """Return the built-in node classes and the manifests of the session's plugins, which name further ones."""
        session = await self._sessions.get(session_id)
        return await asyncio.to_thread(_catalogue), list(manifests(session).values())

    async def _with_pipeline(self, session_id: str, ask: Callable[[Pipeline], Any]) -> Any:
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        return await asyncio.to_thread(lambda: ask(self._open(session)))

    def _open(self, session: Session) -> Pipeline:
        return workbench.open_pipeline(self._artifacts, pipeline_of(session), session.weights_digest)


def _catalogue() -> list[Entry]:
    from swath.engine import registry

    return list(registry.catalogue())


def _draw_document(content: str, kind: str) -> tuple[bytes, str]:
    document: PipelineDocument = parse("pipeline", load_yaml(content, source="config_content"))
    elements = len(document.nodes) + len(document.connections)
    if elements > MAX_ELEMENTS:
        raise InvalidInput(f"config_content has {elements} nodes and connections, more than {MAX_ELEMENTS}")
    return _draw(workbench.build(document), kind)


def _draw(pipeline: Pipeline, kind: str) -> tuple[bytes, str]:
    from swath.engine import drawing

    if kind == "mermaid":
        return drawing.mermaid(pipeline).encode(), kind
    text = drawing.dot(pipeline).encode()
    program = shutil.which("dot")
    if kind in DOT_TEXT or program is None:
        return text, kind if kind in DOT_TEXT else "dot"
    drawn = subprocess.run([program, f"-T{kind}"], input=text, capture_output=True, timeout=30, check=True)
    return drawn.stdout, kind
