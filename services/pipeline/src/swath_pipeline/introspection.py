"""What pipelines take and give, how they look, and which node classes there are. Everything here blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from swath.documents import PipelineDocument, load_yaml, parse, sources_of
from swath.engine.plugins.session_plugins import SessionPlugins, manifests
from swath.errors import GraphInvalid, InvalidInput, NotFound, SwathError

if TYPE_CHECKING:
    from swath.engine.graph.describe import Description
    from swath.engine.graph.pipeline import Pipeline
    from swath.engine.graph.ports import Port
    from swath.engine.graph.registry import Entry

MAX_BYTES = 1_000_000
MAX_ELEMENTS = 2000

_DOT = ("dot", "graphviz")
_FORMATS = ("png", "svg", *_DOT, "mermaid")


@dataclass(frozen=True)
class Specs:
    """Free inputs and outputs of a pipeline, dimensions as numbers."""

    inputs: dict[str, Port]
    outputs: dict[str, Port]

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Return those of a pipeline."""
        return cls(pipeline.input_specs(), pipeline.output_specs())


def require_data_module(name: str, plugins: Sequence[str]) -> None:
    """Refuse the name of a data module that there is not.

    Args:
        name: The data module.
        plugins: Plugin manifests of the session, as JSON.

    Raises:
        InvalidInput: There is none.
        PluginDenied: A plugin offers it that the operator does not allow.
    """
    from swath.engine import data  # imports torch

    offered = SessionPlugins(plugins)
    known = sorted({*data.available(), *offered.data_modules()})
    if name not in known:
        raise offered.data_module_refusal(name) or InvalidInput(
            f"no plugin provides data module '{name}'; available: {known}"
        )


def drawing_format(kind: str) -> str:
    """Return the format that a request names, png if none.

    Raises:
        InvalidInput: There is no such format.
    """
    kind = kind.lower() or "png"
    if kind not in _FORMATS:
        raise InvalidInput(f"Unsupported visualization format: {kind}; expected one of {[*_FORMATS]}")
    return kind


def draw(pipeline: Pipeline, kind: str) -> bytes:
    """Draw a pipeline in a format that `drawing_format` gives."""
    from swath.engine.draw import diagram, markup

    if kind == "mermaid":
        return markup.mermaid(pipeline).encode()
    if kind in _DOT:
        return markup.dot(pipeline).encode()
    return (diagram.png if kind == "png" else diagram.svg)(pipeline)


def draw_document(content: str, kind: str) -> tuple[bytes, str]:
    """Draw a pipeline that is no session's; return the drawing and its format: png where the one asked for is unknown.

    Raises:
        InvalidInput: The document is too large.
        DocumentInvalid: It is no pipeline document.
        GraphInvalid: It is no graph that runs.
    """
    from swath.engine.graph.pipeline import Pipeline

    if len(content.encode()) > MAX_BYTES:
        raise InvalidInput(f"config_content has {len(content.encode())} bytes, more than {MAX_BYTES}")
    kind = kind.lower() if kind.lower() in _FORMATS else "png"
    document: PipelineDocument = parse("pipeline", load_yaml(content, source="config_content"))
    elements = len(document.nodes) + len(document.connections)
    if elements > MAX_ELEMENTS:
        raise InvalidInput(f"config_content has {elements} nodes and connections, more than {MAX_ELEMENTS}")
    return draw(Pipeline.from_document(document), kind), kind


def node_classes() -> list[Entry]:
    """Return the built-in node classes."""
    from swath.engine.graph import registry

    return list(registry.catalogue())


def describe_nodes(plugins: Sequence[str], names: tuple[str, ...]) -> list[Description]:
    """Describe node classes: built-in ones, and those of plugins that may run here.

    Args:
        plugins: Plugin manifests of a session, as JSON.
        names: Full or bare names; nothing means all classes.

    Raises:
        NotFound: There is no class of a name.
        PluginDenied, DependencyMissing, Precondition: A class that was named is of a plugin that cannot be loaded.
    """
    from swath.engine.graph import registry
    from swath.engine.graph.describe import describe
    from swath.engine.plugins.loading import Plugins

    offered = [name for manifest in manifests(plugins).values() for name in manifest.nodes]
    session_plugins = SessionPlugins(plugins)

    def find(name: str) -> Description:
        entry = {"nodes": [{"name": "node", "class_name": name}]}
        document: PipelineDocument = parse("pipeline", entry)
        try:
            cls = registry.lookup(name, Plugins(sources_of(session_plugins.seal(document))))
        except GraphInvalid as error:
            refusal = session_plugins.refusal(error, document)
            raise NotFound(error.message) if refusal is error else refusal from error
        return describe(cls, registry.full_path(cls) if cls.__module__.startswith(registry.PACKAGE) else name)

    if names:
        return [find(name) for name in names]
    found = [describe(cls, registry.full_path(cls)) for cls in registry.classes().values()]
    for name in offered:
        # One plugin that cannot be loaded must not hide all others; a call that names its class gets the reason.
        with contextlib.suppress(SwathError):
            found.append(find(name))
    return list({each.full_path: each for each in found}.values())
