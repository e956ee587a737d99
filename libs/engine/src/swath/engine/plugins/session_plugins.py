"""The plugins of a session: sealing pipelines with them, and errors for plugins that may not run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, PluginManifest, seal
from swath.engine.plugins.settings import PluginSettings, denied
from swath.errors import GraphInvalid, PluginDenied, Precondition, SwathError

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline

BUILT_IN = frozenset({"cuvis_ai_builtin", "cuvis_ai_dataloader"})
"""Plugins of the reference whose classes and data modules are built in here, and need no registration."""


def manifests(registered: Iterable[str]) -> dict[str, PluginManifest]:
    """Return the manifests that a session has registered, by plugin name."""
    parsed = [PluginManifest.model_validate_json(text) for text in registered]
    return {manifest.name: manifest for manifest in parsed}


class SessionPlugins:
    """Seals pipelines of one session.

    Args:
        registered: Manifests of the session, as JSON.
        settings: What the operator allows; read from the environment by default.
    """

    def __init__(self, registered: Iterable[str], settings: PluginSettings | None = None) -> None:
        self._manifests = manifests(registered)
        settings = settings or PluginSettings()
        self._allowed = {name for name, manifest in self._manifests.items() if settings.allows(manifest)}

    def seal(self, document: PipelineDocument) -> PipelineDocument:
        """Return a document sealed with what it needs of the plugins that may run."""
        return seal(document, (manifest for name, manifest in self._manifests.items() if name in self._allowed))

    def build(self, document: PipelineDocument) -> tuple[Pipeline, PipelineDocument]:
        """Build a document with the session's plugins; return the pipeline, and the document as `seal` gives it.

        Raises:
            GraphInvalid: It is no valid graph.
            PluginDenied, Precondition: It needs a plugin that may not run here, or is not registered.
        """
        from swath.engine.plugins.pipelines import build_pipeline  # imports torch, which takes seconds

        sealed = self.seal(document)
        try:
            return build_pipeline(sealed), sealed
        except GraphInvalid as error:
            raise self.refusal(error, document) from error

    def refusal(self, error: GraphInvalid, document: PipelineDocument) -> SwathError:
        """Return the error for a pipeline that could not be built, with the plugin that may not run or is missing.

        Args:
            error: The error of building it.
            document: The pipeline.
        """
        wanted = error.metadata.get("class_name")
        if wanted is None:
            return error
        for name, manifest in self._manifests.items():
            if name not in self._allowed and wanted in manifest.nodes:
                user = next((node.name for node in document.nodes if node.class_name == wanted), "")
                return denied(manifest, f"node '{user}' ({wanted})")
        missing = sorted(set(document.plugins or ()) - set(self._manifests) - BUILT_IN)
        if missing:
            return Precondition(
                f"{error.message}; the pipeline names plugins that are not registered in this session: {missing}; "
                f"registered: {sorted(self._manifests)}"
            )
        return error

    def data_module_refusal(self, name: str) -> PluginDenied | None:
        """Return the error for a data module that only plugins have that may not run; None otherwise."""
        offers = [manifest for manifest in self._manifests.values() if name in manifest.data_modules]
        if not offers or any(manifest.name in self._allowed for manifest in offers):
            return None
        return denied(offers[0], f"data module '{name}'")

    def data_modules(self) -> list[str]:
        """Return the names of the data modules of plugins that may run."""
        return sorted({name for plugin in self._allowed for name in self._manifests[plugin].data_modules})
