"""Plugins that a session has registered, and the node classes that its pipelines may use."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from swath.documents import canonical
from swath.errors import DocumentInvalid, Exhausted, NotFound
from swath.service import Session, Sessions

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_PLUGINS = 64
"""Plugins of one session: their manifests are part of its row."""

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


def manifests(session: Session) -> dict[str, PluginManifest]:
    """Return the manifests that a session has registered, by plugin name."""
    parsed = [PluginManifest.model_validate_json(text) for text in session.plugins]
    return {manifest.name: manifest for manifest in parsed}


def registered_names(session: Session) -> set[str]:
    """Return the names of the plugins that a session has registered."""
    return set(manifests(session))


class Plugins:
    """LoadPlugin, ListLoadedPlugins and GetPluginInfo.

    Args:
        sessions: The sessions' authority.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def register(self, session_id: str, config: bytes) -> tuple[str, str]:
        """Record a plugin in the session; one of the same name is replaced. Nothing is installed.

        Args:
            session_id: The session.
            config: JSON of one manifest.

        Returns:
            Name of the plugin and an empty text, or an empty name and what is wrong with the manifest.

        Raises:
            DocumentInvalid: It is no JSON object at all, or too large.
            Exhausted: The session has as many plugins as it may have.
        """
        session = await self._sessions.get(session_id)
        if len(config) > MAX_MANIFEST_BYTES:
            raise DocumentInvalid(f"the plugin manifest has {len(config)} bytes, more than {MAX_MANIFEST_BYTES}")
        try:
            content = json.loads(config)
        except (ValueError, RecursionError) as error:
            raise DocumentInvalid(f"the plugin manifest is not JSON: {error}") from error
        if not isinstance(content, dict) or not content:
            raise DocumentInvalid("the plugin manifest must be a JSON object with the fields of one plugin")
        try:
            manifest = PluginManifest.model_validate(content)
        except ValidationError as error:
            return "", str(error)

        text = canonical(manifest.model_dump(mode="json")).decode()

        def decide(current: Session) -> dict[str, Any]:
            kept = [other for name, other in _texts(current).items() if name != manifest.name]
            if len(kept) >= MAX_PLUGINS:
                raise Exhausted(f"a session holds {MAX_PLUGINS} plugins at most")
            return {"plugins": (*kept, text)}

        await self._sessions.change(session.id, decide)
        return manifest.name, ""

    async def all(self, session_id: str) -> list[PluginManifest]:
        """Return the manifests of the session in the order of their registration."""
        return list(manifests(await self._sessions.get(session_id)).values())

    async def one(self, session_id: str, name: str) -> PluginManifest:
        """Return one manifest of the session.

        Raises:
            NotFound: No plugin of that name is registered.
        """
        found = manifests(await self._sessions.get(session_id))
        if name not in found:
            raise NotFound(f"Plugin '{name}' is not registered in this session; registered: {sorted(found)}")
        return found[name]


def _texts(session: Session) -> dict[str, str]:
    return dict(zip(manifests(session), session.plugins, strict=True))
