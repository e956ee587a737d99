"""What an installation on Kubernetes keeps: Secrets, and ConfigMaps that anybody may read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.runtime.installation.kubernetes_api import KubernetesApi


class Secrets:
    """The Secrets and ConfigMaps of one installation. Names are given without its prefix.

    Every method raises Conflict, Denied, Exhausted, Precondition and Unavailable as `KubernetesApi` does.

    Args:
        api: Where they are kept.
        prefix: What their names begin with.
        labels: Put on each of them.
        say: Told about each change.
    """

    def __init__(
        self, api: KubernetesApi, prefix: str, labels: Mapping[str, str], say: Callable[[str], None] = print
    ) -> None:
        self._api = api
        self._prefix = prefix
        self._labels = dict(labels)
        self._say = say

    def read(self, name: str) -> dict[str, bytes]:
        """Return what a Secret holds, nothing where there is none."""
        found = self._api.get("secrets", f"{self._prefix}-{name}") or {}
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    def write(self, name: str, content: Mapping[str, bytes], why: str, kind: str = "Opaque") -> None:
        """Write a Secret. Keys that it has and `content` has not stay as they are."""
        data = {key: base64.b64encode(value).decode() for key, value in content.items()}
        self._api.put("secrets", self._document("Secret", name) | {"type": kind, "data": data})
        self._say(f"secret {self._prefix}-{name}: {why}")

    def publish(self, name: str, content: Mapping[str, bytes]) -> None:
        """Have a ConfigMap that holds just that."""
        data = {key: value.decode() for key, value in content.items()}
        if (self._api.get("configmaps", f"{self._prefix}-{name}") or {}).get("data") != data:
            self._api.put("configmaps", self._document("ConfigMap", name) | {"data": data})
            self._say(f"configmap {self._prefix}-{name}: written")

    def remove(self, name: str) -> None:
        """Take a Secret away, where it is there."""
        if self._api.delete("secrets", f"{self._prefix}-{name}"):
            self._say(f"secret {self._prefix}-{name}: removed")

    def withdraw(self, name: str) -> None:
        """Take a ConfigMap away, where it is there."""
        self._api.delete("configmaps", f"{self._prefix}-{name}")

    def _document(self, kind: str, name: str) -> dict[str, Any]:
        metadata = {"name": f"{self._prefix}-{name}", "labels": self._labels}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}
