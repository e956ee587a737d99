"""Pipelines: nodes, the edges between their ports, and what a catalogue shows of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from swath.documents.base import Document

SCHEMAS_VERSION = "0.14.2"
"""Version of the cuvis-ai schemas whose fields these documents have; stamped on metadata that names none."""


MAX_NODES = 2000
"""Maximum nodes of a pipeline: building one takes a millisecond, and the client waits for all of them."""

MAX_CONNECTIONS = 10_000
"""Maximum edges of a pipeline."""


class Endpoint(str):
    """An end of an edge, `node.outputs.port` or `node.inputs.port`, with access to its parts."""

    @property
    def node(self) -> str:
        """Name of the node."""
        return self.split(".")[0]

    @property
    def port(self) -> str:
        """Name of the port."""
        return self.split(".")[2]


def _endpoint(role: str, side: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = value.split(".")
        if len(parts) != 3 or parts[1] != side or not parts[0] or not parts[2]:
            raise ValueError(f"Invalid {role}: '{value}'. Expected: 'node.{side}.port'")
        return Endpoint(value)

    return AfterValidator(check)


def _plugin_name(value: str) -> str:
    if not value.isidentifier():
        raise ValueError(f"Invalid plugin name '{value}'. Must be a valid Python identifier.")
    return value


class NodeDocument(Document):
    """One node of a pipeline."""

    model_config = ConfigDict(title="NodeConfig")

    name: str = Field(description="Name of the node in this pipeline; unique, without dots")
    class_name: str = Field(description="Full dotted name of the node's class")
    hparams: dict[str, Any] = Field(default_factory=dict, description="Arguments of the node's constructor")


class ConnectionDocument(Document):
    """An edge from an output port to an input port."""

    model_config = ConfigDict(title="ConnectionConfig")

    source: Annotated[str, _endpoint("source", "outputs")] = Field(description="Where it starts: 'node.outputs.port'")
    target: Annotated[str, _endpoint("target", "inputs")] = Field(description="Where it ends: 'node.inputs.port'")

    @property
    def start(self) -> Endpoint:
        """The source with its parts."""
        return Endpoint(self.source)

    @property
    def end(self) -> Endpoint:
        """The target with its parts."""
        return Endpoint(self.target)


class PipelineMetadata(Document):
    """What a catalogue shows of a pipeline."""

    name: str = Field(description="Name of the pipeline")
    description: str = Field(default="", description="What it does, for people")
    created: str = Field(default="", description="When it was saved, ISO 8601")
    tags: list[str] = Field(default_factory=list, description="Words to find it by")
    author: str = Field(default="", description="Who made it")
    cuvis_ai_version: str = Field(default=SCHEMAS_VERSION, description="Version of the schemas that it was written for")


class PipelineDocument(Document):
    """A graph of nodes."""

    model_config = ConfigDict(title="PipelineConfig")

    plugins: list[Annotated[str, AfterValidator(_plugin_name)]] | None = Field(
        default=None, description="Plugins whose classes it uses, by bare name; what is built in needs none"
    )
    nodes: list[NodeDocument] = Field(default_factory=list, max_length=MAX_NODES, description="Nodes, in any order")
    connections: list[ConnectionDocument] = Field(
        default_factory=list, max_length=MAX_CONNECTIONS, description="Edges between ports"
    )
    metadata: PipelineMetadata | None = Field(default=None, description="What a catalogue shows of it")
