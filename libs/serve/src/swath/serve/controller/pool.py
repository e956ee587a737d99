"""The replicas of one deployment of one version of an application."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swath.serve.config import DeploymentOptions
from swath.serve.controller.orders import Orders, State, SuiteOf
from swath.serve.controller.replica import Replica
from swath.serve.controller.restarts import Restarts
from swath.serve.controller.scaling import Scaler
from swath.serve.controller.status import DeploymentStatus, DeploymentStatusOverview, Trigger
from swath.serve.exceptions import DeploymentUnavailableError, RayServeException
from swath.serve.launch.port import Launcher
from swath.serve.router.calls import Relays
from swath.serve.router.router import Router

_LOG = logging.getLogger("swath.serve")

_REPLACED = "; a new one runs"


@dataclass(frozen=True, slots=True)
class Host:
    """What pools share.

    Attributes:
        launcher: Starts processes.
        relays: Carry calls between replicas.
        changed: Called when something of an application has changed.
        suite: Gives what replicas are told of the suite, as it is when they start.
        pool: Makes the replicas of a deployment; `Pool` if None.
    """

    launcher: Launcher
    relays: Relays
    changed: Callable[[], None]
    suite: SuiteOf
    pool: Callable[..., Pool] | None = None


class Pool:
    """Keeps as many replicas as there are to be, and replaces those that are gone.

    Args:
        name: Of the deployment.
        application: Of the application.
        options: How it is run.
        user_config: For its objects, pickled.
        orders: What its replicas run.
        host: What pools share.
        replicas: Replicas to start with; as the options say if None.

    Attributes:
        version: The version of the application that it serves; calls of its code go to deployments of that one.
        router: Its calls.
        failed: Why no replica will come, None as long as one may.
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
    ) -> None:
        self.name = name
        self.options = options
        self.user_config = user_config
        self.orders = orders
        self.version: Any = None
        self.failed: str | None = None
        self._application = application
        self._host = host
        self._scaler = Scaler(options.scaling) if options.scaling else None
        self._first = self._bounded(replicas)
        self.target = 0
        self.router = Router(options.max_ongoing_requests, options.max_queued_requests, self._calls_changed)
        self._replicas: dict[str, Replica] = {}
        self._spare: Replica | None = None
        self._message = ""
        self._trigger = Trigger.CONFIG_UPDATE_STARTED
        self._reached = False
        self._ran = False
        self._unwell: dict[str, str] = {}
        self._restarts = Restarts()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def _bounded(self, replicas: int | None) -> int:
        scaling = self.options.scaling
        if scaling is None:
            return self.options.replicas
        first = scaling.first if replicas is None else replicas
        return max(scaling.min_replicas, min(scaling.max_replicas, first))

    # What the application asks.

    def begin(self) -> None:
        """Start replicas."""
        self.target = self._first
        if self._scaler is not None:
            self._ticker = asyncio.get_running_loop().create_task(self._tick())
        self._reconcile()

    @property
    def ready(self) -> bool:
        """Whether all replicas run that there are to be."""
        return self._running() >= self.target

    @property
    def busy(self) -> bool:
        """Whether calls run or wait."""
        return bool(self.router.ongoing or self.router.waiting)

    async def change(self, options: DeploymentOptions, user_config: bytes) -> None:
        """Take other options that need no other replicas: numbers, limits, health, `user_config`."""
        config_changed = user_config != self.user_config
        scaling_changed = options.scaling != self.options.scaling
        self.options, self.user_config = options, user_config
        self.router.limit(options.max_ongoing_requests, options.max_queued_requests)
        if scaling_changed:
            if self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None
            self._scaler = Scaler(options.scaling) if options.scaling else None
            if self._scaler is not None:
                self._ticker = asyncio.get_running_loop().create_task(self._tick())
        self.target = self._bounded(self.target)
        self._trigger = Trigger.CONFIG_UPDATE_COMPLETED
        self._reconcile()
        if config_changed:
            await asyncio.gather(*(self._reconfigure(each) for each in self._of(State.RUNNING)))
        self._host.changed()

    async def _reconfigure(self, replica: Replica) -> None:
        try:
            await replica.reconfigure(self.user_config)
            self._unwell.pop(replica.tag, None)
        except RayServeException as error:
            self._unwell[replica.tag] = f"reconfigure failed: {error.message}; what it set before stays as far as it is"

    async def stop(self, grace_s: float | None = None) -> None:
        """Stop all replicas; returns when nothing is left of them.

        Args:
            grace_s: Seconds that calls have; as the options say if None.
        """
        self._stopping = True
        self._trigger = Trigger.DELETING
        if self._timer is not None:
            self._timer.cancel()
        if self._ticker is not None:
            self._ticker.cancel()
        for replica in list(self._replicas.values()):
            self._retire(replica, grace_s)
        if self._spare is not None:
            self._spare.stop(0)
        await self._empty.wait()
        self.router.close(DeploymentUnavailableError(f"Deployment {self.name!r} of {self._application!r} has stopped."))

    # What replicas say.

    def runs(self, replica: Replica) -> None:
        """Have it take calls."""
        assert replica.place is not None
        self._ran = True
        self._restarts.succeeded()
        replica.since = time.monotonic()
        if self._message and not self._message.endswith(_REPLACED):
            self._message += _REPLACED
        if not self._reached and self.ready:
            self._reached = True
            self._trigger = Trigger.CONFIG_UPDATE_COMPLETED
        self.router.add(replica.place)
        self._reconcile()

    def _count_failure(self, why: str) -> None:
        """Take note of a replica that did not come up."""
        again = self._restarts.failed_to_start(self.options, self.target) or self._ran
        given_up = "" if again else f" (given up after {self._restarts.failures} tries)"
        self._message = f"A replica failed to start: {why}{given_up}"
        self._trigger = Trigger.REPLICA_STARTUP_FAILED
        _LOG.error("%s/%s: %s", self._application, self.name, self._message)
        if not again:
            self.failed = self._message
            self.router.close(
                DeploymentUnavailableError(
                    f"Deployment(name={self.name!r}, app={self._application!r}) is unavailable because it failed to "
                    "deploy."
                )
            )

    def did_not_start(self, replica: Replica, why: str) -> None:
        """Forget a replica that did not come up, and start another one."""
        if replica is self._spare:
            self._spare = None
            self._message = f"A spare replica failed to start: {why}"
            return
        self._replicas.pop(replica.tag, None)
        self._count_failure(why)
        self._reconcile()

    def ill(self, replica: Replica, why: str, replace: bool) -> None:
        """Take note of a failed health check."""
        self._message = self._unwell[replica.tag] = f"Replica {replica.tag} {why}"
        self._trigger = Trigger.HEALTH_CHECK_FAILED
        _LOG.warning("%s/%s: %s", self._application, self.name, self._message)
        if replace:
            self._message += "; it is replaced"
            self._retire(replica, None)
            self._reconcile()
        self._host.changed()

    def lost(self, replica: Replica) -> None:
        """Send it no more calls."""
        if replica.place is not None:
            self.router.remove(replica.place)

    def died(self, replica: Replica, how: str) -> None:
        """Replace a replica whose process has ended by itself."""
        self._message = f"Replica {replica.tag}: its process {how}"
        self._trigger = Trigger.HEALTH_CHECK_FAILED
        _LOG.error("%s/%s: %s", self._application, self.name, self._message)
        self._restarts.died(time.monotonic() - replica.since)
        self._replicas.pop(replica.tag, None)
        self._unwell.pop(replica.tag, None)
        self._reconcile()

    def gone(self, replica: Replica) -> None:
        """Forget it."""
        self._replicas.pop(replica.tag, None)
        self._unwell.pop(replica.tag, None)
        if replica is self._spare:
            self._spare = None
        self._settle()
        self._host.changed()

    # Numbers.

    def _reconcile(self) -> None:
        if self._stopping:
            return
        active = self._of(State.STARTING, State.RUNNING)
        missing = self.target - len(active)
        if missing > 0 and self.failed is None:
            wait = self._restarts.wait_s
            if wait > 0:
                self._later(wait)
            else:
                for _ in range(missing):
                    self._start()
        elif missing < 0:
            # Those that do not run yet first, then the idle ones.
            for replica in sorted(active, key=_busyness)[:-missing]:
                self._retire(replica, None)
        if self.target == 0 and self._spare is None and self.failed is None and self._scaler is not None:
            self._spare = self._made(0, spare=True)
        self._host.changed()

    def _start(self) -> None:
        if self._spare is not None:
            replica, self._spare = self._spare, None
            replica.go()
            self._replicas[replica.tag] = replica
            return
        ranks = {each.rank for each in self._of(State.STARTING, State.RUNNING)}
        rank = next(number for number in range(len(ranks) + 1) if number not in ranks)
        replica = self._made(rank, spare=False)
        self._replicas[replica.tag] = replica

    def _made(self, rank: int, spare: bool) -> Replica:
        self._empty.clear()
        tag = f"{self._application}#{self.name}#{uuid.uuid4().hex[:8]}"
        world_size = max(1, self.target)
        host = self._host
        return Replica(tag, rank, world_size, self.orders, self, host.launcher, host.relays, host.suite, spare)

    def _retire(self, replica: Replica, grace_s: float | None) -> None:
        if replica.place is not None:
            self.router.remove(replica.place)
        replica.stop(self.options.graceful_shutdown_timeout_s if grace_s is None else grace_s)

    def _later(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self._reconcile)

    async def _tick(self) -> None:
        while self._scaler is not None:
            await asyncio.sleep(self._scaler.interval_s)
            self._scale()

    def _scale(self) -> None:
        assert self._scaler is not None
        wanted = self._scaler.wanted(time.monotonic(), self.router.ongoing + self.router.waiting, self.target)
        if wanted != self.target:
            _LOG.info("%s/%s: from %d replicas to %d", self._application, self.name, self.target, wanted)
            self.target = wanted
            self._trigger = Trigger.AUTOSCALING
            self._reconcile()

    def _calls_changed(self) -> None:
        if self._scaler is not None and self.target == 0 and self.router.waiting and not self._stopping:
            self.target = 1
            self._trigger = Trigger.AUTOSCALING
            self._reconcile()
        if self.version is not None:
            self.version.calls_changed()

    # What it says.

    def _settle(self) -> None:
        if not self._replicas and self._spare is None:
            self._empty.set()

    def _of(self, *states: State) -> list[Replica]:
        return [each for each in self._replicas.values() if each.state in states]

    def _running(self) -> int:
        return len(self._of(State.RUNNING))

    @property
    def status(self) -> DeploymentStatus:
        """Its state."""
        running = self._running()
        if self.failed is not None:
            return DeploymentStatus.DEPLOY_FAILED
        if not self._reached and running < self.target:
            return DeploymentStatus.UPDATING
        if self._unwell:
            return DeploymentStatus.UNHEALTHY
        if running < self.target:
            lost = self._trigger in (Trigger.HEALTH_CHECK_FAILED, Trigger.REPLICA_STARTUP_FAILED)
            return DeploymentStatus.UNHEALTHY if lost else DeploymentStatus.UPSCALING
        if running > self.target:
            return DeploymentStatus.DOWNSCALING
        return DeploymentStatus.HEALTHY

    @property
    def serves(self) -> bool:
        """Whether calls are answered, be it after a wait for the first replica."""
        return self._running() > 0 or (self.failed is None and self.target == 0)

    def overview(self) -> DeploymentStatusOverview:
        """Return what `serve.status()` says of it."""
        message = "; ".join(dict.fromkeys(filter(None, (self._message, *self._unwell.values()))))
        states = Counter(str(each.state) for each in self._replicas.values())
        if self._spare is not None:
            states[str(State.SPARE)] += 1
        return DeploymentStatusOverview(
            self.name, self.status, self._trigger, dict(states), message, self.router.waiting, self.router.ongoing
        )


def _busyness(replica: Replica) -> tuple[bool, int]:
    return replica.place is not None, replica.place.ongoing if replica.place else 0
