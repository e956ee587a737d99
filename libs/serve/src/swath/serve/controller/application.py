"""An application: the version that serves, the one that comes up beside it, and those that end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from swath.serve.config import DeploymentOptions
from swath.serve.controller.describing import environment_of
from swath.serve.controller.orders import Orders
from swath.serve.controller.pool import Host, Pool
from swath.serve.controller.specs import ApplicationSpec, DeploymentSpec
from swath.serve.controller.status import ApplicationStatusOverview, DeploymentStatus
from swath.serve.exceptions import DeploymentUnavailableError, RayServeException
from swath.serve.exchange import ApplicationStatus, ApplicationView
from swath.serve.launch.port import Environment
from swath.serve.replica.definition import Definition

_LIGHT = frozenset(
    {
        "num_replicas",
        "autoscaling_config",
        "max_ongoing_requests",
        "max_queued_requests",
        "health_check_period_s",
        "health_check_timeout_s",
        "graceful_shutdown_timeout_s",
        "max_constructor_retry_count",
        "user_config",
    }
)
"""Options whose change needs no other replicas."""


class Version:
    """The deployments of an application as they were deployed together. Calls among them stay within it.

    Args:
        spec: What was deployed.
        pools: Deployments by name, the one that clients reach last.
    """

    def __init__(self, spec: ApplicationSpec, pools: dict[str, Pool]) -> None:
        self.spec = spec
        self.pools = pools
        self._calls = asyncio.Event()

    @property
    def ingress(self) -> Pool:
        """The deployment that clients reach."""
        return next(reversed(self.pools.values()))

    def calls_changed(self) -> None:
        """Take note that calls have come or gone."""
        self._calls.set()

    async def idle(self, pools: Sequence[Pool]) -> None:
        """Wait until no calls run or wait in some of its pools, as long as their graceful shutdown may take."""
        grace = max((pool.options.graceful_shutdown_timeout_s for pool in pools), default=0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while any(pool.busy for pool in pools):
                    self._calls.clear()
                    await self._calls.wait()


class DeployedApplication:
    """What is deployed under a name.

    Args:
        name: The name.
        host: What pools share.
        settings: Servicer functions of the host, and whether clients get tracebacks.
    """

    def __init__(self, name: str, host: Host, settings: tuple[Sequence[str], bool]) -> None:
        self.name = name
        self.current: Version | None = None
        self.deleting = False
        self._host = host
        self._servicer_functions, self._send_tracebacks = settings
        self._coming: Version | None = None
        self._failure: str | None = None
        self._deployed_at = time.time()
        self._changed = asyncio.Event()
        self._ending: dict[asyncio.Task[None], Version] = {}

    # Deploying.

    async def deploy(self, spec: ApplicationSpec, deployments: Sequence[DeploymentSpec], keep: bool) -> None:
        """Bring up a version and go over to it; the one before serves until then, and on if it fails.

        Args:
            spec: What to deploy.
            deployments: Its deployments, the one that clients reach last.
            keep: Whether replicas stay whose code and options are the same.

        Raises:
            RayServeException: It failed. The text says which deployment and why.
        """
        self._deployed_at = time.time()
        self._failure = None
        version = self._version(spec, deployments, keep)
        before, self._coming = self._coming, version
        if before is not None:
            self._end(before, self._kept(before, version))
        fresh = [pool for pool in version.pools.values() if pool.version is None]
        for pool in fresh:
            pool.version = version
            pool.begin()
        if self.current is None:
            # The first calls wait for it.
            self.current = version
        try:
            await self._until_ready(version, fresh)
        except RayServeException as error:
            # One that another version has taken the place of is no failure of that one.
            if self._coming is version:
                self._failure = error.message
                self._coming = None
            if self.current is not version:
                self._end(version, [pool for pool in version.pools.values() if pool not in fresh])
            self._host.changed()
            raise
        if self._coming is version:
            self._coming = None
            await self._go_over(version, deployments)

    async def _until_ready(self, version: Version, fresh: Sequence[Pool]) -> None:
        while self._coming is version:
            for pool in fresh:
                if pool.failed is not None:
                    raise RayServeException(f"deployment {pool.name!r}: {pool.failed}")
            if all(pool.ready for pool in fresh):
                return
            self._changed.clear()
            await self._changed.wait()
        raise RayServeException("another version was deployed, or the application was deleted, before this one was up")

    async def _go_over(self, version: Version, deployments: Sequence[DeploymentSpec]) -> None:
        before, self.current = self.current, version
        for spec in deployments:
            pool = version.pools[spec.name]
            pool.version = version
            if (pool.options, pool.user_config) != (spec.options, spec.user_config):
                await pool.change(spec.options, spec.user_config)
        if before is not None and before is not version:
            if before.ingress is not version.ingress:
                before.ingress.router.move_to(version.ingress.router)
            self._end(before, self._kept(before, version))
        self._host.changed()

    def _kept(self, before: Version, after: Version) -> list[Pool]:
        return [pool for pool in before.pools.values() if pool in after.pools.values() or self._serves(pool)]

    def _serves(self, pool: Pool) -> bool:
        return self.current is not None and pool in self.current.pools.values()

    def _version(self, spec: ApplicationSpec, deployments: Sequence[DeploymentSpec], keep: bool) -> Version:
        functions = tuple(dict.fromkeys((*self._servicer_functions, *spec.servicer_functions)))
        environment = environment_of(spec, self._servicer_functions)
        pools: dict[str, Pool] = {}
        for each in deployments:
            definition = Definition(self.name, each.name, each.pickled, spec.import_path, spec.args, spec.code_version)
            orders = Orders(definition, environment, functions, self._send_tracebacks)
            old = self.current.pools.get(each.name) if self.current else None
            same = (
                old is not None
                and old.failed is None
                and old.orders == orders
                and _heavy(old.options) == _heavy(each.options)
            )
            if keep and same and old is not None:
                pools[each.name] = old
            else:
                replicas = old.target if old is not None and each.options.scaling else None
                make = self._host.pool or Pool
                pools[each.name] = make(
                    each.name, self.name, each.options, each.user_config, orders, self._host, replicas
                )
        return Version(spec, pools)

    # Ending.

    def _end(self, version: Version, kept: Sequence[Pool]) -> None:
        task = asyncio.get_running_loop().create_task(self._ended(version, kept))
        self._ending[task] = version

    async def _ended(self, version: Version, kept: Sequence[Pool]) -> None:
        pools = [pool for pool in version.pools.values() if pool not in kept]
        for pool in pools:
            if not pool.serves:
                pool.router.close(DeploymentUnavailableError(f"Deployment {pool.name!r} of {self.name!r} has stopped."))
        await version.idle(pools)
        await asyncio.gather(*(pool.stop(0.0) for pool in pools))
        task = asyncio.current_task()
        assert task is not None
        self._ending.pop(task, None)
        self._host.changed()

    async def delete(self) -> None:
        """End all versions; calls that run have the time of a graceful shutdown."""
        self.deleting = True
        versions = [each for each in (self._coming, self.current) if each is not None]
        self._coming = None
        self._changed.set()
        for version in dict.fromkeys(versions):
            self._end(version, [])
        while self._ending:
            await asyncio.gather(*self._ending)

    async def first(self) -> Version:
        """Wait for the first version: calls may come before its deployments are known.

        Raises:
            DeploymentUnavailableError: It cannot be deployed.
        """
        while self.current is None:
            if self._failure is not None or self.deleting:
                raise DeploymentUnavailableError(
                    f"Application {self.name!r} is unavailable because it failed to deploy."
                )
            self._changed.clear()
            await self._changed.wait()
        return self.current

    def fail(self, why: str) -> None:
        """Take note that what was to be deployed cannot be; what serves goes on."""
        self._failure = why
        self._deployed_at = time.time()

    # What it says.

    def changed(self) -> None:
        """Take note that something of it has changed."""
        self._changed.set()

    @property
    def environments(self) -> set[Environment]:
        """Environments that its replicas are started in, those of versions that end too."""
        versions = [each for each in (self.current, self._coming, *self._ending.values()) if each is not None]
        return {pool.orders.environment for version in versions for pool in version.pools.values()}

    def view(self) -> ApplicationView:
        """Return what a front sees of it."""
        status, message = self._status()
        serves = self.current is not None and all(pool.serves for pool in self.current.pools.values())
        return ApplicationView(status, message, serves and not self.deleting)

    def overview(self) -> ApplicationStatusOverview:
        """Return what `serve.status()` says of it."""
        status, message = self._status()
        version = self._coming or self.current
        pools = version.pools if version else {}
        overviews = {name: pool.overview() for name, pool in pools.items()}
        return ApplicationStatusOverview(status, message, self._deployed_at, overviews)

    def _status(self) -> tuple[ApplicationStatus, str]:
        if self.deleting:
            return ApplicationStatus.DELETING, ""
        if self._failure is not None:
            goes_on = self.current is not None and all(pool.failed is None for pool in self.current.pools.values())
            return ApplicationStatus.DEPLOY_FAILED, self._failure + ("; the version before goes on" if goes_on else "")
        if self._coming is not None or self.current is None:
            return ApplicationStatus.DEPLOYING, ""
        unwell = [pool for pool in self.current.pools.values() if pool.status is DeploymentStatus.UNHEALTHY]
        if unwell:
            names = ", ".join(f"{pool.name}: {pool.overview().message}" for pool in unwell)
            return ApplicationStatus.UNHEALTHY, names
        return ApplicationStatus.RUNNING, ""


def _heavy(options: DeploymentOptions) -> dict[str, object]:
    return {name: value for name, value in options.model_dump().items() if name not in _LIGHT}


def overridden(
    deployments: Sequence[DeploymentSpec], spec: ApplicationSpec, dump: Callable[[object], bytes]
) -> list[DeploymentSpec]:
    """Return deployments with the spec's overrides over their options.

    Raises:
        RayServeException: An override names a deployment that there is not.
        TypeError: An option is unknown.
        ValueError: An option has a value that it cannot have.
    """
    names = [each.name for each in deployments]
    for name in spec.overrides:
        if name not in names:
            raise RayServeException(f"Deployment {name!r} does not exist. Available: {names}")
    found: list[DeploymentSpec] = []
    for each in deployments:
        given = {key: value for key, value in spec.overrides.get(each.name, {}).items() if key != "name"}
        config = dump(given.pop("user_config")) if "user_config" in given else each.user_config
        try:
            options = each.options.changed(given)
        except (TypeError, ValueError) as error:
            raise type(error)(f"deployment {each.name!r}: {error}") from None
        found.append(replace(each, options=options, user_config=config))
    return found
