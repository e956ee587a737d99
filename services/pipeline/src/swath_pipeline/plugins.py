"""Plugin manifests as clients send them, and those that a session has."""

from __future__ import annotations

import json

from swath.documents import PluginManifest, canonical
from swath.engine.plugins.session_plugins import manifests
from swath.errors import DocumentInvalid, Exhausted, NotFound
from swath.sessions.model import Session

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_PLUGINS = 64
"""Plugins of one session: their manifests are part of its row."""


def read_manifest(config: bytes) -> PluginManifest:
    """Return the manifest in a request.

    Args:
        config: JSON of one manifest.

    Raises:
        DocumentInvalid: It is no JSON object at all, or too large.
        ValidationError: It is one that is no manifest.
    """
    if len(config) > MAX_MANIFEST_BYTES:
        raise DocumentInvalid(f"the plugin manifest has {len(config)} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        content = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(f"the plugin manifest is not JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise DocumentInvalid("the plugin manifest must be a JSON object with the fields of one plugin")
    return PluginManifest.model_validate(content)


def with_plugin(session: Session, manifest: PluginManifest) -> tuple[str, ...]:
    """Return the manifests of a session, as JSON, with one more; one of the same name is replaced.

    Raises:
        Exhausted: The session has as many plugins as it may have.
    """
    texts = zip(manifests(session.plugins), session.plugins, strict=True)
    kept = [text for name, text in texts if name != manifest.name]
    if len(kept) >= MAX_PLUGINS:
        raise Exhausted(f"a session holds {MAX_PLUGINS} plugins at most")
    return (*kept, canonical(manifest.model_dump(mode="json")).decode())


def plugin_of(session: Session, name: str) -> PluginManifest:
    """Return one manifest of a session.

    Raises:
        NotFound: No plugin of that name is registered.
    """
    found = manifests(session.plugins)
    if name not in found:
        raise NotFound(f"Plugin '{name}' is not registered in this session; registered: {sorted(found)}")
    return found[name]
