"""Tells what a pipeline takes and gives, draws it, and lists the node classes there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, PluginManifest, load_yaml, parse, sources_of
from swath.engine.plugins.session_plugins import SessionPlugins, manifests
from swath.errors import GraphInvalid, InvalidInput, NotFound, SwathError
from swath.sessions.model import Sessions
from swath.sessions.preconditions import pipeline_of
from swath.storage import ArtifactStore
from swath_pipeline import workbench

if TYPE_CHECKING:
    from swath.engine.graph.describe import Description
    from swath.engine.graph.pipeline import Pipeline
    from swath.engine.graph.ports import Port
    from swath.engine.graph.registry import Entry

IMAGES = ("png", "svg")
DOT_TEXT = ("dot", "graphviz")
MAX_BYTES = 1_000_000
MAX_ELEMENTS = 2000
_SPECS_KEPT = 1024


@dataclass(frozen=True)
class _Specs:
    inputs: dict[str, Port]
    outputs: dict[str, Port]


class Introspection:
    """GetPipelineInputs, GetPipelineOutputs, GetPipelineVisualization and ListAvailableNodes.

    Args:
        sessions: The sessions' authority.
        artifacts: Where pipelines and weights of sessions are.
    """

    def __init__(self, sessions: Sessions, artifacts: ArtifactStore) -> None:
        self._sessions = sessions
        self._artifacts = artifacts
        # Sessions of one pipeline ask for the same, and digests never come to mean something else.
        self._specs = lru_cache(maxsize=_SPECS_KEPT)(self._open_specs)

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
        kind = kind.lower() or "png"
        if kind not in (*IMAGES, *DOT_TEXT, "mermaid"):
            raise InvalidInput(
                f"Unsupported visualization format: {kind}; expected one of {[*IMAGES, *DOT_TEXT, 'mermaid']}"
            )
        session = await self._sessions.get(session_id)
        digest = pipeline_of(session)
        return await asyncio.to_thread(lambda: _draw(self._open(digest, session.weights_digest), kind))

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
        return await asyncio.to_thread(_catalogue), list(manifests(session.plugins).values())

    async def describe(self, session_id: str, names: tuple[str, ...]) -> list[Description]:
        """Describe node classes: built-in ones, and those of the session's plugins that may run here.

        Args:
            session_id: A session, or nothing.
            names: Full or bare names; nothing means all classes.

        Raises:
            NotFound: There is no class of a name.
            PluginDenied, DependencyMissing, Precondition: A class that was named is of a plugin that cannot be loaded.
        """
        plugins = (await self._sessions.get(session_id)).plugins if session_id else ()
        return await asyncio.to_thread(_describe, plugins, names)

    async def _specs_of(self, session_id: str) -> _Specs:
        session = await self._sessions.get(session_id)
        return await asyncio.to_thread(self._specs, pipeline_of(session), session.weights_digest)

    def _open_specs(self, pipeline_digest: str, weights_digest: str | None) -> _Specs:
        pipeline = self._open(pipeline_digest, weights_digest)
        return _Specs(pipeline.input_specs(), pipeline.output_specs())

    def _open(self, pipeline_digest: str, weights_digest: str | None) -> Pipeline:
        return workbench.open_pipeline(self._artifacts, pipeline_digest, weights_digest)


def _catalogue() -> list[Entry]:
    from swath.engine.graph import registry

    return list(registry.catalogue())


def _describe(plugins: Sequence[str], names: tuple[str, ...]) -> list[Description]:
    from swath.engine.graph import registry
    from swath.engine.graph.describe import describe
    from swath.engine.plugins.loading import Plugins

    offered = [name for manifest in manifests(plugins).values() for name in manifest.nodes]
    sealing = SessionPlugins(plugins)

    def find(name: str) -> Description:
        entry = {"nodes": [{"name": "node", "class_name": name}]}
        document: PipelineDocument = parse("pipeline", entry)
        try:
            cls = registry.lookup(name, Plugins(sources_of(sealing.seal(document))))
        except GraphInvalid as error:
            refusal = sealing.refusal(error, document)
            raise NotFound(error.message) if refusal is error else refusal from error
        return describe(cls, registry.full_path(cls) if cls.__module__.startswith(registry.PACKAGE) else name)

    if names:
        return [find(name) for name in names]
    found = [describe(cls, registry.full_path(cls)) for cls in registry.classes().values()]
    for name in offered:
        # One plugin that cannot be loaded must not hide all others; whoever asks for its class is told why.
        with contextlib.suppress(SwathError):
            found.append(find(name))
    return list({each.full_path: each for each in found}.values())


def _draw_document(content: str, kind: str) -> tuple[bytes, str]:
    document: PipelineDocument = parse("pipeline", load_yaml(content, source="config_content"))
    elements = len(document.nodes) + len(document.connections)
    if elements > MAX_ELEMENTS:
        raise InvalidInput(f"config_content has {elements} nodes and connections, more than {MAX_ELEMENTS}")
    return _draw(workbench.build(document), kind)


def _draw(pipeline: Pipeline, kind: str) -> tuple[bytes, str]:
    from swath.engine.draw import diagram, markup

    if kind == "mermaid":
        return markup.mermaid(pipeline).encode(), kind
    if kind in DOT_TEXT:
        return markup.dot(pipeline).encode(), kind
    return (diagram.png if kind == "png" else diagram.svg)(pipeline), kind
