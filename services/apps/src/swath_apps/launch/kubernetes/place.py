"""Pods as a place for replicas."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from swath.errors import Precondition
from swath.rpc.tls import TlsSettings
from swath_apps.launch.kubernetes.launcher import KubernetesLauncher
from swath_apps.launch.kubernetes.pool import PodPool
from swath_apps.launch.settings import LaunchSettings


class _Plain:
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


class Pods:
    """A `Place`: the cluster's pods.

    Args:
        settings: Where they come from.
        tls: Files of this process; None for plain text.
    """

    def __init__(self, settings: LaunchSettings, tls: TlsSettings | None) -> None:
        self._settings = settings
        self._tls = tls or _Plain()
        self._launcher: KubernetesLauncher | None = None

    def begin(self, token_of: Callable[[str], str]) -> Callable[..., Any]:
        """Look at pods from now on; return what makes the replicas of a deployment."""
        self._launcher = KubernetesLauncher(self._settings, self._tls, token_of)
        self._launcher.begin()
        return functools.partial(PodPool, launcher=self._launcher)

    def leave(self) -> None:
        """Leave pods as they are."""
        launcher = self._begun()
        launcher.leaving = True
        launcher.close()

    def made(self) -> Mapping[str, str]:
        """Return the names of all Kubernetes Deployments of replicas, and the application of each."""
        return self._begun().made()

    def sweep(self, made: Mapping[str, str], applications: Collection[str], settled: Collection[str]) -> None:
        """Delete what was made for applications, or versions of them, that there are no more."""
        self._begun().sweep(made, applications, settled)

    def _begun(self) -> KubernetesLauncher:
        if self._launcher is None:
            raise Precondition("the cluster was not looked at yet")
        return self._launcher
