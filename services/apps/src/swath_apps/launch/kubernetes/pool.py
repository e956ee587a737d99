"""The replicas of a deployment as pods: which there are the cluster says, and the host connects to each."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import structlog

from swath.errors import SwathError, Unavailable
from swath.serve.config import DeploymentOptions
from swath.serve.controller.orders import Orders, State
from swath.serve.controller.pool import Host, Pool
from swath.serve.controller.replica import Replica
from swath.serve.controller.status import Trigger
from swath.serve.exceptions import DeploymentUnavailableError
from swath_apps.launch.kubernetes.launcher import KubernetesLauncher
from swath_apps.launch.kubernetes.manifest import Facts
from swath_apps.launch.kubernetes.pods import Pod
from swath_apps.launch.settings import Document

_log = structlog.get_logger("swath.apps")

_AGAIN_S = 1.0
_GONE_S = 15.0
_MADE_AGAIN_S = 10.0


class PodPool(Pool):
    """Connects to the pods of a Kubernetes Deployment, makes that, and deletes it.

    Several hosts have the same pods: what one makes the others find, and none of them deletes anything when it stops.

    Args:
        name: Of the deployment.
        application: Of the application.
        options: How it is run.
        user_config: For its objects, pickled.
        orders: What its replicas run.
        host: What pools share.
        replicas: Replicas to start with; as the options say if None.
        launcher: Knows the cluster.
    """

    def __init__(
        self,
        name: str,
        application: str,
        options: DeploymentOptions,
        user_config: bytes,
        orders: Orders,
        host: Host,
        replicas: int | None = None,
        *,
        launcher: KubernetesLauncher,
    ) -> None:
        super().__init__(name, application, options, user_config, orders, host, replicas)
        # The cluster scales.
        self._scaler = None
        self._launcher = launcher
        self._pods: dict[str, Pod] = {}
        self._of_pod: dict[str, Replica] = {}
        self._condemned: set[str] = set()
        self._numbers = itertools.count()
        self._tags: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._scaled_by = ""
        self._no_pods = asyncio.Event()
        self._no_pods.set()
        self.cluster_name = launcher.name_of(self._facts())

    def _facts(self) -> Facts:
        environment, runtime = self.orders.environment, self.options.ray_actor_options.get("runtime_env") or {}
        image = runtime.get("image_uri") or (runtime.get("container") or {}).get("image") or environment.image
        return Facts(
            application=self._application,
            deployment=self.name,
            options=self.options,
            code=self.orders.definition.version,
            bundle=environment.code,
            image=image,
            variables={**dict(environment.variables), **self.options.environment},
            token=self._launcher.token_of(self._application),
            replicas=self._first,
        )

    # What the application asks.

    def begin(self) -> None:
        """Have the Kubernetes Deployment made."""
        self.target = self._first
        self._launcher.follow(self)
        self._do(self._make())

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _make(self) -> None:
        """Make it, and look after it from then on."""
        await self._make_once()
        looked = time.monotonic()
        while not self._stopping and self.failed is None:
            await asyncio.sleep(_AGAIN_S)
            now = time.monotonic()
            stuck = [each.stuck_since for each in self._pods.values() if each.stuck_since is not None]
            if stuck and not self._ran and now - min(stuck) > self._launcher.stuck_s:
                self._fail(next(each.said for each in self._pods.values() if each.stuck_since is not None))
            elif self._pods or not self.target:
                looked = now
            elif now - looked > _MADE_AGAIN_S:
                # Another host has given it up, or somebody has deleted it.
                await self._make_once()
                looked = time.monotonic()

    async def _make_once(self) -> None:
        while not self._stopping:
            try:
                self._scaled_by = await asyncio.to_thread(self._launcher.make, self._facts(), self._scaled_by)
                return
            except Unavailable as error:
                self._say(error.message)
            except SwathError as error:
                self._fail(error.message)
                return
            await asyncio.sleep(_AGAIN_S)

    async def change(self, options: DeploymentOptions, user_config: bytes) -> None:
        """Take other options that need no other pods: numbers, limits, health, `user_config`."""
        config_changed = user_config != self.user_config
        self.options, self.user_config = options, user_config
        self.router.limit(options.max_ongoing_requests, options.max_queued_requests)
        self._first = self._bounded(None)
        self.target = self._first if options.scaling is None else max(self._first, self._present())
        self._trigger = Trigger.CONFIG_UPDATE_COMPLETED
        self._reached = False
        try:
            self._scaled_by = await asyncio.to_thread(
                self._launcher.change, self._facts(), self.cluster_name, self._scaled_by
            )
        except SwathError as error:
            self._say(f"the change has not reached the cluster: {error.message}")
        for replica in self._of(State.RUNNING):
            replica.limit(options.max_ongoing_requests)
        if config_changed:
            await asyncio.gather(*(self._reconfigure(each) for each in self._of(State.RUNNING)))
        self._reconcile()

    async def stop(self, grace_s: float | None = None) -> None:
        """Let go of all pods, and delete the Kubernetes Deployment unless only this host stops."""
        await super().stop(grace_s)
        self._launcher.unfollow(self)
        # The next version may have these pods too.
        if not self._launcher.leaving and not self._launcher.followed(self.cluster_name):
            self._launcher.follow(self)
            while True:
                try:
                    await asyncio.to_thread(self._launcher.delete, self.cluster_name)
                    break
                except Unavailable:
                    await asyncio.sleep(_AGAIN_S)
                except SwathError as error:
                    _log.error("replicas cannot be deleted", deployment=self.cluster_name, error=error.message)
                    break
            try:
                async with asyncio.timeout(self.options.graceful_shutdown_timeout_s + _GONE_S):
                    await self._no_pods.wait()
            except TimeoutError:
                _log.warning("pods outlast their deployment", deployment=self.cluster_name)
            self._launcher.unfollow(self)
        for each in list(self._work):
            each.cancel()

    # What the cluster says.

    @property
    def application(self) -> str:
        """Name of the application."""
        return self._application

    def seen(self, document: Document, gone: bool) -> None:
        """Take a state of one of its pods."""
        name = document["metadata"]["name"]
        pod = self._pods.get(name)
        if pod is None:
            if gone:
                return
            pod = self._pods[name] = self._launcher.pod(name, self._facts(), self.cluster_name)
        pod.seen(document, gone)
        if gone:
            self._pods.pop(name)
            self._condemned.discard(name)
        if pod.going and (replica := self._of_pod.get(name)) is not None and replica.state is not State.RUNNING:
            replica.stop(0.0)
        (self._no_pods.clear if self._pods else self._no_pods.set)()
        if pod.said and not pod.going:
            self._say(pod.said)
        elif not pod.said and self._message.startswith(("the replica's container", "the cluster has no place")):
            self._message = ""
        self._reconcile()

    def _say(self, words: str) -> None:
        self._message = words
        self._host.changed()

    def _fail(self, why: str) -> None:
        self.failed = self._message = why
        self._trigger = Trigger.REPLICA_STARTUP_FAILED
        _log.error("a deployment failed", application=self._application, deployment=self.name, error=why)
        self.router.close(
            DeploymentUnavailableError(f"Deployment {self.name!r} of {self._application!r} failed to deploy.")
        )
        self._host.changed()

    def _present(self) -> int:
        return sum(not each.going for each in self._pods.values())

    def _reconcile(self) -> None:
        """Connect to the pods that there are."""
        if self._stopping:
            return
        if self.options.scaling is not None and self._reached:
            self.target = max(self._present(), self.options.scaling.min_replicas)
        if self.target == 0:
            self._reached = True
        wait = self._restarts.wait_s
        for pod in self._pods.values():
            if pod.going or not pod.address or pod.name in self._of_pod or pod.name in self._condemned or self.failed:
                continue
            if wait > 0:
                self._later(wait)
                break
            self._connect(pod)
        self._host.changed()

    def _connect(self, pod: Pod) -> None:
        self._empty.clear()
        ranks = {each.rank for each in self._of_pod.values()}
        rank = next(number for number in range(len(ranks) + 1) if number not in ranks)
        # A pod may be connected to again while the connection before is not forgotten yet.
        tag = f"{self._application}#{self.name}#{pod.name.rpartition('-')[2]}"
        tag = f"{tag}-{next(self._numbers)}" if tag in self._tags else tag
        self._tags.add(tag)
        replica = Replica(tag, rank, max(1, self.target), self.orders, self, pod, self._host.relays, self._host.suite)
        self._replicas[tag] = self._of_pod[pod.name] = replica

    # What replicas say.

    def did_not_start(self, replica: Replica, why: str) -> None:
        """Forget a connection whose replica did not come up."""
        self._disconnected(replica)
        super().did_not_start(replica, why)

    def ill(self, replica: Replica, why: str, replace: bool) -> None:
        """Take note of a failed health check; a pod to be replaced is deleted."""
        if replace:
            for name in [each for each, found in self._of_pod.items() if found is replica]:
                self._condemned.add(name)
                self._do(self._delete_pod(name))
        super().ill(replica, why, replace)

    async def _delete_pod(self, name: str) -> None:
        try:
            await asyncio.to_thread(self._launcher.delete_pod, name)
        except SwathError as error:
            _log.error("a pod cannot be replaced", pod=name, error=error.message)
            self._condemned.discard(name)

    def died(self, replica: Replica, how: str) -> None:
        """Connect anew where it was not meant to go."""
        name = self._disconnected(replica)
        pod = self._pods.get(name)
        if replica.leaving or pod is None or pod.going:
            self._replicas.pop(replica.tag, None)
            self._reconcile()
            return
        super().died(replica, how)

    def gone(self, replica: Replica) -> None:
        """Forget it."""
        self._disconnected(replica)
        super().gone(replica)
        self._reconcile()

    def _disconnected(self, replica: Replica) -> str:
        for name, found in list(self._of_pod.items()):
            if found is replica:
                del self._of_pod[name]
                return name
        return ""

    def _settle(self) -> None:
        if not self._replicas and not self._of_pod:
            self._empty.set()
