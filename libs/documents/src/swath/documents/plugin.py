"""Plugins: the manifests that clients register, and the parts of them in a stored pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from swath.documents.base import Document
from swath.documents.kinds import modernize
from swath.documents.pipeline import PipelineDocument
from swath.errors import DocumentInvalid

_Size = Annotated[int, Field(ge=-1, lt=2**63)]
_IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"
_DOTTED = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$"


class PortDocument(BaseModel):
    """A port as a manifest describes it."""

    model_config = ConfigDict(extra="forbid")

    dtype: str = Field(description="torch name of the element type, or tensor for any")
    shape: list[_Size | str] = Field(default=[], description="Sizes; -1 or a name where any size goes")
    optional: bool = Field(default=False, description="Whether the node runs without it")
    description: str = Field(default="", description="What it carries")
    variadic: bool = Field(default=False, description="Whether several edges may end in it")


class CapabilityDocument(BaseModel):
    """One class that a plugin offers."""

    model_config = ConfigDict(extra="forbid")

    class_name: str = Field(pattern=_DOTTED, description="Full dotted name of the class")
    kind: Literal["node", "data_module"] = Field(default="node", description="What the class is")
    data_module_name: str | None = Field(default=None, description="Name that data configs call a data module by")
    extras: list[str] = Field(default=[], description="Extras of the package that it needs")
    category: str | None = Field(default=None, description="Category of a node")
    tags: list[str] = Field(default=[], description="Tags of a node")
    icon_svg: str | None = Field(default=None, description="Picture of a node")
    input_specs: dict[str, PortDocument] = Field(default={}, description="Input ports of a node")
    output_specs: dict[str, PortDocument] = Field(default={}, description="Output ports of a node")
    doc_summary: str | None = Field(default=None, description="One sentence on it")


class PluginManifest(BaseModel):
    """Where a plugin comes from and what it offers."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_IDENTIFIER, description="Name of the plugin")
    path: str | None = Field(default=None, description="Absolute path of a local plugin")
    repo: str | None = Field(default=None, description="Git repository of a remote plugin")
    tag: str | None = Field(default=None, description="Tag in that repository")
    capabilities: list[CapabilityDocument] = Field(min_length=1, description="Classes that it offers")
    weights: list[Any] = Field(default=[], description="Weights that it needs")
    package_name: str | None = Field(default=None, description="Name of its package")
    extras: list[str] = Field(default=[], description="Extras of its package to install")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        if path is not None and not PurePosixPath(path).is_absolute():
            raise ValueError(f"path must be absolute, got {path!r}")
        return path

    @model_validator(mode="after")
    def _one_source(self) -> PluginManifest:
        if (self.path is None) == (self.repo is None):
            raise ValueError("a plugin has either a path or a repo with a tag")
        if self.repo is not None and not self.tag:
            raise ValueError("a plugin from a repo needs a tag")
        return self

    @property
    def nodes(self) -> list[str]:
        """Full names of the node classes."""
        return [capability.class_name for capability in self.capabilities if capability.kind == "node"]

    @property
    def data_modules(self) -> dict[str, str]:
        """Full names of the data modules' classes, by the names that data documents call them by."""
        return {
            capability.data_module_name: capability.class_name
            for capability in self.capabilities
            if capability.kind == "data_module" and capability.data_module_name
        }


class PluginSource(Document):
    """What a pipeline needs of one plugin, wherever it is built."""

    name: str = Field(description="Name of the plugin")
    path: str | None = Field(default=None, description="Absolute path of a local plugin")
    repo: str | None = Field(default=None, description="Git repository of a remote plugin")
    tag: str | None = Field(default=None, description="Tag in that repository")
    named: bool = Field(default=False, description="Whether the pipeline names it: its classes come before built-in")
    nodes: list[str] = Field(default=[], description="Classes of the pipeline's nodes that it offers")
    data_modules: dict[str, str] = Field(default={}, description="Classes of its data modules, by name")

    @property
    def place(self) -> str:
        """Where it comes from, as text for people."""
        return self.path or f"{self.repo}@{self.tag}"


class SealedPipeline(PipelineDocument):
    """A pipeline as it is stored: with the plugins that it needs, so that any process can build it."""

    sources: list[PluginSource] = Field(default=[], description="Plugins whose code it needs")


def seal(document: PipelineDocument, manifests: Iterable[PluginManifest]) -> PipelineDocument:
    """Return a document sealed with what it needs of some plugins; unchanged if it needs none of them."""
    used = {node.class_name for node in document.nodes}
    sources = []
    for manifest in manifests:
        nodes = sorted(used & set(manifest.nodes))
        if nodes or manifest.data_modules:
            sources.append(
                PluginSource(
                    name=manifest.name,
                    path=manifest.path,
                    repo=manifest.repo,
                    tag=manifest.tag,
                    named=manifest.name in (document.plugins or ()),
                    nodes=nodes,
                    data_modules=manifest.data_modules,
                )
            )
    if not sources:
        return document
    return SealedPipeline(**{**dict(document), "sources": sources})


def sources_of(document: PipelineDocument) -> tuple[PluginSource, ...]:
    """Return the plugins that a document is sealed with; empty if it is not sealed."""
    return tuple(document.sources) if isinstance(document, SealedPipeline) else ()


def unsealed(document: PipelineDocument) -> PipelineDocument:
    """Return a document as clients know it."""
    if not isinstance(document, SealedPipeline):
        return document
    return PipelineDocument(**{name: getattr(document, name) for name in PipelineDocument.model_fields})


def stored_pipeline(data: bytes) -> PipelineDocument:
    """Read a pipeline that a service stored. Never use it for input of a client: it determines which code runs.

    Raises:
        DocumentInvalid: It is no pipeline document.
    """
    content = modernize("pipeline", json.loads(data))
    try:
        return (SealedPipeline if "sources" in content else PipelineDocument).model_validate(content)
    except ValidationError as error:
        raise DocumentInvalid(str(error), metadata={"kind": "pipeline"}) from error
