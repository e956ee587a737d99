"""Plugins that a session has registered, and the node classes that its pipelines may use."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from swath.documents import PluginManifest, canonical
from swath.engine.plugins.session_plugins import manifests
from swath.errors import DocumentInvalid, Exhausted, NotFound
from swath.sessions.model import Session, Sessions

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_PLUGINS = 64
"""Plugins of one session: their manifests are part of its row."""


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
        return list(manifests((await self._sessions.get(session_id)).plugins).values())

    async def one(self, session_id: str, name: str) -> PluginManifest:
        """Return one manifest of the session.

        Raises:
            NotFound: No plugin of that name is registered.
        """
        found = manifests((await self._sessions.get(session_id)).plugins)
        if name not in found:
            raise NotFound(f"Plugin '{name}' is not registered in this session; registered: {sorted(found)}")
        return found[name]


def _texts(session: Session) -> dict[str, str]:
    return dict(zip(manifests(session.plugins), session.plugins, strict=True))
