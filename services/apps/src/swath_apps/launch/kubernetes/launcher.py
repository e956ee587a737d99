"""What the pools of pods share: the cluster, the template, one watch of all pods, and a sweep of what is left over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import structlog
import yaml

from swath.errors import Precondition, SwathError, Unavailable
from swath.rpc.tls import TlsSettings
from swath_apps.launch.kubernetes import manifest
from swath_apps.launch.kubernetes.cluster import Cluster
from swath_apps.launch.kubernetes.manifest import APPLICATION, CONTAINER, Facts
from swath_apps.launch.kubernetes.pods import Pod
from swath_apps.launch.settings import Document, LaunchSettings

if TYPE_CHECKING:
    from swath_apps.launch.kubernetes.pool import PodPool

_log = structlog.get_logger("swath.apps")

_PORT = 7081
_OTHERS_S = 120.0
"""Seconds for which pods of another version of an application stay that this host does not have."""


class KubernetesLauncher:
    """Makes and deletes what replicas run in.

    Args:
        settings: Where that comes from.
        tls: Files by which this process proves who it is.
        token_of: Gives an application's token.
        cluster: The cluster; the one that this pod, or the current kubeconfig, belongs to if None.

    Attributes:
        leaving: Whether this process stops, and all that it has made stays.
        stuck_s: Seconds after which a pod that cannot start fails its version.

    Raises:
        Precondition: The template is none, or no cluster is configured.
    """

    def __init__(
        self, settings: LaunchSettings, tls: TlsSettings, token_of: Callable[[str], str], cluster: Cluster | None = None
    ) -> None:
        assert settings.template is not None
        try:
            read = yaml.safe_load(settings.template.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise Precondition(f"SWATH_APPS_TEMPLATE: {settings.template} cannot be read: {error}") from error
        self._template = manifest.check(read, str(settings.template))
        self._settings = settings
        self._tls = tls
        self.token_of = token_of
        self.leaving = False
        self.stuck_s = settings.stuck_s
        metadata = self._template["metadata"]
        self._cluster = cluster or Cluster(metadata["name"], metadata.get("namespace", ""))
        self._owner: Document | None = None
        self._unwanted: dict[str, float] = {}
        self._pools: dict[str, list[PodPool]] = {}
        self._states: dict[str, dict[str, Document]] = {}
        containers = self._template["spec"]["template"]["spec"]["containers"]
        ports = next(each for each in containers if each["name"] == CONTAINER).get("ports") or []
        self._port = next((each["containerPort"] for each in ports), _PORT)

    def begin(self) -> None:
        """Look at pods from now on, in a thread."""
        loop = asyncio.get_running_loop()

        def seen(deployment: str, pod: Document, gone: bool) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._seen, deployment, pod, gone)

        threading.Thread(target=self._cluster.follow_pods, args=(seen,), name="swath-apps-pods", daemon=True).start()

    def close(self) -> None:
        """Look at pods no more."""
        self._cluster.close()

    def name_of(self, facts: Facts) -> str:
        """Return the name of a deployment's objects."""
        return manifest.name_of(self._template, facts)

    def pod(self, name: str, facts: Facts, deployment: str) -> Pod:
        """Return a pod as hosts see it."""
        return Pod(name, manifest.token_of(deployment, facts), self._port, self._tls)

    # Pods.

    def follow(self, pool: PodPool) -> None:
        """Tell a pool of its pods from now on, those that are there among them."""
        self._pools.setdefault(pool.cluster_name, []).append(pool)
        for pod in list(self._states.get(pool.cluster_name, {}).values()):
            pool.seen(pod, False)

    def unfollow(self, pool: PodPool) -> None:
        """Tell a pool no more."""
        pools = self._pools.get(pool.cluster_name, [])
        if pool in pools:
            pools.remove(pool)
        if not pools:
            self._pools.pop(pool.cluster_name, None)

    def followed(self, name: str) -> bool:
        """Return whether a pool has the pods of a Kubernetes Deployment."""
        return bool(self._pools.get(name))

    def _seen(self, deployment: str, pod: Document, gone: bool) -> None:
        states = self._states.setdefault(deployment, {})
        name = pod["metadata"]["name"]
        if gone:
            states.pop(name, None)
        else:
            states[name] = pod
        if not states:
            self._states.pop(deployment, None)
        for pool in list(self._pools.get(deployment, ())):
            pool.seen(pod, gone)

    # What blocks: called in other threads.

    def make(self, facts: Facts, scaled_by: str) -> str:
        """Make all objects of a deployment, or find them; return the kind of what scales it.

        Raises:
            Unavailable: The API server is away, or an older one of the name is about to go.
            Denied, Exhausted, Precondition: The cluster refuses.
        """
        if self._owner is None and self._settings.owner:
            self._owner = self._cluster.owner(self._settings.owner)
        name = self.name_of(facts)
        made = manifest.deployment(self._template, name, facts, self._settings, self._owner)
        # What cannot be is refused before there is anything.
        manifest.scaler(name, facts, self._settings, "")
        uid, going = self._cluster.create_deployment(made)
        if going:
            raise Unavailable(f"the Deployment {name} of before is about to go")
        self._cluster.add(manifest.secret(name, facts, uid))
        self._cluster.add(manifest.service(self._template, name, facts, uid))
        return self._scale(name, facts, uid, scaled_by)

    def change(self, facts: Facts, name: str, scaled_by: str) -> str:
        """Have the numbers of a deployment's pods be as the options say; return the kind of what scales it."""
        made = manifest.deployment(self._template, name, facts, self._settings, self._owner)
        uid, _ = self._cluster.create_deployment(made)
        return self._scale(name, facts, uid, scaled_by)

    def _scale(self, name: str, facts: Facts, uid: str, scaled_by: str) -> str:
        scaler = manifest.scaler(name, facts, self._settings, uid)
        kind = scaler["kind"] if scaler is not None else ""
        if scaled_by and scaled_by != kind:
            self._cluster.remove_scaler(scaled_by, name)
        if scaler is not None:
            self._cluster.add(scaler)
        else:
            self._cluster.scale(name, facts.replicas)
        return kind

    def delete(self, name: str) -> None:
        """Delete all objects of a deployment."""
        self._cluster.delete_deployment(name)

    def delete_pod(self, name: str) -> None:
        """Delete a pod; another one takes its place."""
        self._cluster.delete_pod(name)

    def made(self) -> dict[str, str]:
        """Return the names of all Kubernetes Deployments of replicas, and the application of each.

        Raises:
            Denied, Unavailable: The cluster does not say.
        """
        return {
            each["metadata"]["name"]: (each["metadata"].get("annotations") or {}).get(APPLICATION, "")
            for each in self._cluster.deployments()
            if "deletionTimestamp" not in each["metadata"]
        }

    def sweep(self, made: Mapping[str, str], applications: Collection[str], settled: Collection[str]) -> None:
        """Delete what was made for applications, or versions of them, that there are no more.

        Args:
            made: As `made` has returned it.
            applications: Names of all that are written down, read after that.
            settled: Those of them that run here as they are written down: of these no other version is wanted.
        """
        now = time.monotonic()
        old = {name for name, application in made.items() if not self.followed(name) and application in applications}
        # A host of an older release may have them still while this one has those of its own image.
        self._unwanted = {name: self._unwanted.get(name, now) for name in old if made[name] in settled}
        for name, application in made.items():
            wanted = name in old and now - self._unwanted.get(name, now) < _OTHERS_S
            if wanted or self.followed(name):
                continue
            try:
                self._cluster.delete_deployment(name)
                _log.info("what nobody has any more was deleted", deployment=name, application=application)
            except SwathError as error:
                _log.warning("what nobody has any more stays", deployment=name, error=error.message)
