"""All applications of a host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from swath.serve.config import nearest
from swath.serve.controller.application import DeployedApplication, overridden
from swath.serve.controller.describing import described
from swath.serve.controller.orders import SuiteOf, no_suite
from swath.serve.controller.pool import Host, Pool
from swath.serve.controller.specs import ApplicationSpec
from swath.serve.controller.status import ServeStatus
from swath.serve.exceptions import ApplicationNotFound, RayServeException
from swath.serve.exchange import ApplicationView, Exchange, Load, Method, RequestFacts
from swath.serve.handle import Target
from swath.serve.launch.port import Launcher
from swath.serve.replica.definition import dump_config
from swath.serve.router.calls import Relays, open_client_call, open_python_call
from swath.serve.router.router import Router
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer
from swath.serve.transport.memory import keep_large_blocks

_LOG = logging.getLogger("swath.serve")


class Controller:
    """Deploys applications, keeps them as they are to be, and opens their calls. Belongs to the running event loop.

    It is what a front needs (`swath.serve.exchange.Applications`).

    Args:
        launcher: Starts processes of replicas.
        servicer_functions: Import paths of the functions that add the users' services to a server, beside those of each
            application.
        send_tracebacks: Whether clients get the whole traceback of a failure.
        suite: Gives what replicas are told of the suite that has published models, when they start.
        pool: Makes the replicas of a deployment, such as those of a cluster; `Pool` if None.
    """

    def __init__(
        self,
        launcher: Launcher,
        servicer_functions: Sequence[str] = (),
        send_tracebacks: bool = False,
        suite: SuiteOf = no_suite,
        pool: Callable[..., Pool] | None = None,
    ) -> None:
        keep_large_blocks()
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._launcher = launcher
        self._host = Host(launcher, Relays(self._resolve), self._changed, suite, pool)
        self._settings = (servicer_functions, send_tracebacks)
        self._applications: dict[str, DeployedApplication] = {}
        self._leaving: list[DeployedApplication] = []
        self._deploying: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, ApplicationSpec] = {}
        self._deletions: set[asyncio.Task[None]] = set()
        self._watchers: dict[int, Callable[[], None]] = {}
        self._telling = False
        self._populated = False
        self._draining = False

    # Deploying.

    def apply(self, specs: Sequence[ApplicationSpec]) -> None:
        """Deploy a complete set of applications, in the background; those that are not in it are deleted.

        An application that has not changed is left alone; where only numbers, limits or `user_config` have, replicas
        stay. `settled` waits for the end.

        Raises:
            RayServeException: Two have one name. Nothing has changed then.
        """
        names = [spec.name for spec in specs]
        for name in names:
            if names.count(name) > 1:
                raise RayServeException(f"applications: two have the name {name!r}")
        for name in [each for each in self._applications if each not in names]:
            task = self.loop.create_task(self.delete(name))
            self._deletions.add(task)
            task.add_done_callback(self._deletions.discard)
        for spec in specs:
            self.begin(spec, keep=True)

    def begin(self, spec: ApplicationSpec, keep: bool = False) -> asyncio.Task[None]:
        """Deploy an application in the background, beside all others.

        Args:
            spec: The application.
            keep: Whether replicas stay whose code and options have not changed.

        Returns:
            A task that ends when it is up; it fails with RayServeException, TypeError or ValueError where it cannot be.
        """
        coming = self._deploying.get(spec.name)
        if keep and coming is not None and not coming.done() and self._wanted.get(spec.name) == spec:
            # The same comes up already.
            return coming
        application = self._applications.get(spec.name)
        if application is None:
            application = self._applications[spec.name] = DeployedApplication(spec.name, self._host, self._settings)
        self._populated = True
        task = self.loop.create_task(self._deploy(application, spec, keep))
        task.add_done_callback(self._deployed)
        self._deploying[spec.name] = task
        self._wanted[spec.name] = spec
        return task

    async def _deploy(self, application: DeployedApplication, spec: ApplicationSpec, keep: bool) -> None:
        try:
            found = spec.deployments or await described(spec, self._launcher, self._settings[0])
            if self._deploying.get(spec.name) is not asyncio.current_task():
                raise RayServeException("another version was deployed, or the application was deleted, meanwhile")
            deployments = overridden(found, spec, dump_config)
        except (RayServeException, TypeError, ValueError) as error:
            application.fail(str(error))
            _LOG.error("application %s cannot be deployed: %s", spec.name, error)
            self._changed()
            raise
        await application.deploy(spec, deployments, keep)

    def _deployed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # status says it, whether somebody waits or not
        self._changed()

    async def settled(self) -> None:
        """Wait until no application is about to come up or to go."""
        while pending := [each for each in (*self._deploying.values(), *self._deletions) if not each.done()]:
            await asyncio.wait(pending)

    async def delete(self, name: str) -> None:
        """Delete an application; returns when nothing is left of it. Unknown names are none."""
        application = self._applications.pop(name, None)
        if application is None:
            return
        task = self._deploying.pop(name, None)
        self._wanted.pop(name, None)
        self._leaving.append(application)
        deletion = self.loop.create_task(application.delete())
        self._changed()
        if task is not None and not task.done() and application.current is None:
            task.cancel()
        await deletion
        self._leaving.remove(application)
        self._changed()

    def drain(self) -> None:
        """Say that the host is about to stop: calls are answered, health says no."""
        self._draining = True
        self._changed()

    async def stop(self) -> None:
        """Delete all applications, with the time that calls have, and end all processes."""
        self.drain()
        await asyncio.gather(*(self.delete(name) for name in list(self._applications)))
        while self._leaving:
            await asyncio.gather(*(each.delete() for each in self._leaving))
            await asyncio.sleep(0)
        await self._launcher.close()

    def _forget_environments(self) -> None:
        if not self._leaving and all(task.done() for task in self._deploying.values()):
            self._launcher.forget(set().union(*(each.environments for each in self._applications.values())))

    # What it says.

    def status(self) -> ServeStatus:
        """Return the state of all applications, those that are about to go last."""
        known = [*self._applications.values(), *self._leaving]
        overviews = {each.name: each.overview() for each in reversed(known)}
        return ServeStatus({"host": "DRAINING" if self._draining else "HEALTHY"}, dict(reversed(overviews.items())))

    def coming_up(self, name: str) -> bool:
        """Return whether an application, or a new version of one that serves, is about to come up."""
        task = self._deploying.get(name)
        return task is not None and not task.done()

    def spec(self, name: str) -> ApplicationSpec | None:
        """Return what an application that serves was deployed as."""
        application = self._applications.get(name)
        return application.current.spec if application and application.current else None

    def names(self) -> Sequence[str]:
        """Return the names of the applications, in order of deployment."""
        return list(self._applications)

    def state(self, name: str) -> ApplicationView | None:
        """Return the state of an application, None if there is none of the name."""
        application = self._applications.get(name)
        return application.view() if application else None

    def populated(self) -> bool:
        """Return whether an application was ever deployed."""
        return self._populated

    def draining(self) -> bool:
        """Return whether the host is about to stop."""
        return self._draining

    def loads(self) -> Sequence[Load]:
        """Return what each deployment has to do now. Also called in another thread."""
        found = []
        for application in list(self._applications.values()):
            current = application.current
            for name, pool in list(current.pools.items()) if current else ():
                router, places = pool.router, pool.router.places
                models = sum(len(place.models) for place in places)
                found.append(Load(application.name, name, router.waiting, router.ongoing, len(places), models))
        return found

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, soon, when an application has come, gone or changed; returns what ends that."""
        key = id(changed)
        self._watchers[key] = changed
        return lambda: self._watchers.pop(key, None) and None

    def _changed(self) -> None:
        for application in (*self._applications.values(), *self._leaving):
            application.changed()
        if not self._telling:
            self._telling = True
            self.loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        self._forget_environments()
        for changed in list(self._watchers.values()):
            changed()

    # Calls.

    async def open(self, application: str, method: Method, facts: RequestFacts, body: bytes | None) -> Exchange:
        """Start a client's call of an application; waits in the queue of the deployment that clients reach.

        Raises:
            ApplicationNotFound: No application has the name.
            RayServeException: It cannot start: the queue is full, the application has failed, the deadline has passed.
        """
        found = self._applications.get(application)
        if found is None:
            raise ApplicationNotFound(f"Application {application!r} not found.")
        version = found.current or await found.first()
        return await open_client_call(version.ingress.router, method, facts, body)

    async def open_python(self, target: Target, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
        """Start a call of a handle in this process.

        Raises:
            RayServeException: It cannot start.
        """
        found = self._applications.get(target.application)
        if found is not None and found.current is None:
            await found.first()
        return await open_python_call(self._resolve(None, target.application, target.deployment), about, payload)

    def deployments(self, application: str) -> list[str]:
        """Return the names of an application's deployments, the one that clients reach last.

        Raises:
            RayServeException: There is no such application.
        """
        found = self._applications.get(application)
        if found is None:
            raise RayServeException(
                f"Application {application!r} does not exist{nearest(application, self._applications)}."
            )
        return list(found.current.pools) if found.current else []

    def _resolve(self, source: Pool | None, application: str, deployment: str | None) -> Router:
        """Return who answers: for a deployment's own application that of the same version, the one that serves else."""
        if source is not None and source.version is not None and source.version.spec.name == application:
            version = source.version
        else:
            found = self._applications.get(application)
            if found is None or found.current is None:
                raise ApplicationNotFound(
                    f"Application {application!r} does not exist{nearest(application, self._applications)}."
                )
            version = found.current
        if deployment is None:
            return version.ingress.router
        pool = version.pools.get(deployment)
        if pool is None:
            raise RayServeException(
                f"Deployment {deployment!r} does not exist in application {application!r}. "
                f"Available: {list(version.pools)}"
            )
        return pool.router
