"""The host in a driver's process, on an event loop of a thread of its own: `run`, `start` and the others."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from swath.errors import SwathError
from swath.serve.config import HTTPOptions, gRPCOptions
from swath.serve.context import replica_context
from swath.serve.controller.calling import HostCaller
from swath.serve.controller.controller import Controller
from swath.serve.controller.specs import ApplicationSpec, spec_of
from swath.serve.controller.status import ServeStatus
from swath.serve.deployment import Application, Deployment
from swath.serve.exceptions import RayServeException
from swath.serve.handle import DeploymentHandle, Target, set_caller
from swath.serve.launch.local import LocalLauncher

_LOG = logging.getLogger("swath.serve")

T = TypeVar("T")


class Host:
    """A controller and its front, on an event loop of a thread of their own.

    Args:
        options: How applications are served over gRPC.

    Raises:
        Exception: The front cannot start: what it raised.
    """

    def __init__(self, options: gRPCOptions) -> None:
        self.options = options
        # Only now, with gRPC's core: most of who import this package never serve.
        from swath.rpc.server.reactor import TurnLoop

        self._loop = TurnLoop()
        self._loop.set_exception_handler(_told)
        self._thread = threading.Thread(target=self._loop.run_forever, name="swath-serve", daemon=True)
        self._thread.start()
        self._front: Any = None
        try:
            self.do(self._start())
        except BaseException:
            self.stop()
            raise

    async def _start(self) -> None:
        self.controller = Controller(
            LocalLauncher(), self.options.grpc_servicer_functions, self.options.send_tracebacks
        )
        set_caller(HostCaller(self.controller))
        if self.options.grpc_servicer_functions:
            # Only now: without gRPC nothing of the front is needed.
            from swath.serve import front

            front.log_by_the_standard_library()
            try:
                self._front = await front.serve(self.controller, self.options)
            except SwathError as error:
                raise RayServeException(f"serve.start: {error.message}") from error
            _LOG.info("applications are served at %s", self._front.address)

    @property
    def address(self) -> str | None:
        """Where the front listens, None without one."""
        return str(self._front.address) if self._front else None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the host's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the front, all applications and the loop."""
        set_caller(None)
        try:
            self.do(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def prefix_taken(self, spec: ApplicationSpec) -> str | None:
        """Return the other application that has the route prefix of one that is to be deployed, None if none has."""
        if spec.route_prefix is None:
            return None
        return next(
            (
                name
                for name in self.controller.names()
                if name != spec.name
                and (other := self.controller.spec(name)) is not None
                and other.route_prefix == spec.route_prefix
            ),
            None,
        )

    async def _stop(self) -> None:
        controller = getattr(self, "controller", None)
        if controller is not None:
            controller.drain()
        if self._front is not None:
            await self._front.stop(5.0)
        if controller is not None:
            await controller.stop()


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell what went wrong on the loop, but for a wake-up that grpc's other loop in this process has read before."""
    early = isinstance(context.get("exception"), BlockingIOError)
    if not (early and "PollerCompletionQueue" in repr(context.get("handle"))):
        loop.default_exception_handler(context)


_host: Host | None = None
_starting = threading.Lock()


def start(
    proxy_location: Any = None,
    http_options: HTTPOptions | Mapping[str, Any] | None = None,
    grpc_options: gRPCOptions | Mapping[str, Any] | None = None,
    logging_config: Any = None,
    **unused: Any,
) -> None:
    """Start serving; where it runs already, nothing changes, and a line of the log says so.

    Unlike Ray's, a servicer function that cannot be imported fails the start, and the front listens on loopback unless
    `grpc_options` has a host.

    Args:
        proxy_location: Ray's; not used.
        http_options: Not used: applications are not served over HTTP.
        grpc_options: Where and how applications are served over gRPC. Without servicer functions no port is opened.
        logging_config: Ray's; not used.
        unused: Other options of Ray's.

    Raises:
        ValueError: An option is unknown or has a value that it cannot have.
        RayServeException: A servicer function cannot be imported, TLS files cannot be used, or the port is taken.
    """
    global _host
    options = gRPCOptions.read(grpc_options, "grpc_options")
    for name, value in {"http_options": http_options, "proxy_location": proxy_location, **unused}.items():
        if value is not None:
            _LOG.info("serve.start: %s is not used: applications are served over gRPC", name)
    with _starting:
        if _host is not None:
            told = _LOG.info if grpc_options is None else _LOG.warning
            told("serve.start: already running; nothing has changed")
            return
        if replica_context() is not None:
            raise RayServeException("serve.start: this is a replica; applications are deployed from outside")
        _host = Host(options)
        atexit.register(shutdown)


def _forget() -> None:
    """Have no host: in a forked process the loop's thread does not run."""
    global _host
    _host = None
    set_caller(None)


def run(
    target: Application,
    blocking: bool = False,
    name: str = "default",
    route_prefix: str | None = "/",
    logging_config: Any = None,
    **unused: Any,
) -> DeploymentHandle:
    """Deploy an application and wait until it runs. One with this name is updated.

    An update starts all new replicas before the old ones stop, and goes over at once; if it fails, the old version goes
    on.

    Args:
        target: What `bind` returned.
        blocking: Whether to stay until interrupted.
        name: The application's name.
        route_prefix: Begins with a slash, or None; not used, but no two applications have one.
        logging_config: Ray's; not used.
        unused: Other options of Ray's.

    Returns:
        A handle of the deployment that clients reach.

    Raises:
        TypeError: The target is no application.
        ValueError: The name is empty, or the route prefix does not begin with a slash.
        RayServeException: Another application has the route prefix.
        RuntimeError: It could not be deployed: `Deploying application v failed: ...`.
    """
    if isinstance(target, Deployment):
        raise TypeError(
            f"serve.run needs an Application, got the deployment {target.name!r}: bind it, {target.name}.bind()"
        )
    if not isinstance(target, Application):
        raise TypeError(f"serve.run needs an Application, which `.bind()` returns, got {type(target).__name__}")
    if not name:
        raise ValueError("name of the application: expected text, got ''")
    if route_prefix is not None and not route_prefix.startswith("/"):
        raise ValueError(f"Invalid route_prefix {route_prefix!r}, must start with a forward slash ('/').")
    start()
    host = _running()
    spec = spec_of(target, name, route_prefix)
    if (other := host.do(host.prefix_taken(spec))) is not None:
        raise RayServeException(
            f"Prefix {route_prefix} is being used by application {other!r}. "
            f"Failed to deploy application {name!r}: give it a route_prefix of its own, or None."
        )

    async def deploy() -> None:
        await asyncio.shield(host.controller.begin(spec))

    try:
        host.do(deploy())
    except (RayServeException, TypeError, ValueError) as error:
        raise RuntimeError(f"Deploying application {name} failed: {error}") from error
    if blocking:
        _block()
    return DeploymentHandle(Target(name, spec.deployments[-1].name))


def _block() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        shutdown()


def delete(name: str, _blocking: bool = True) -> None:
    """Delete an application and wait until it is gone; calls that run may end first. An unknown name is none.

    Args:
        name: Its name.
    """
    if _host is not None:
        _host.do(_host.controller.delete(name))


def status() -> ServeStatus:
    """Return the state of all applications; nothing where nothing runs."""
    host = _host
    if host is None:
        return ServeStatus()

    async def read() -> ServeStatus:
        return host.controller.status()

    return host.do(read())


def shutdown() -> None:
    """End all applications and the front; calls that run may end first."""
    global _host
    with _starting:
        host, _host = _host, None
    if host is not None:
        atexit.unregister(shutdown)
        host.stop()


def address() -> str | None:
    """Return where the front of this process listens: "127.0.0.1:9000"; None if it has none."""
    return _host.address if _host else None


def get_app_handle(name: str) -> DeploymentHandle:
    """Return a handle of the deployment of an application that clients reach.

    In a replica nobody is asked, and an unknown name is said by the call.

    Raises:
        RayServeException: There is no such application.
    """
    if replica_context() is None:
        found = _deployments(name)
        return DeploymentHandle(Target(name, found[-1] if found else None))
    return DeploymentHandle(Target(name, None))


def get_deployment_handle(deployment_name: str, app_name: str | None = None) -> DeploymentHandle:
    """Return a handle of a deployment.

    Args:
        deployment_name: Its name.
        app_name: Its application; in a replica that one's own if None.

    Raises:
        KeyError: There is no such deployment. In a replica the call says so.
        RayServeException: Outside of a replica an application is needed.
    """
    context = replica_context()
    if context is not None:
        return DeploymentHandle(Target(app_name or context.app_name, deployment_name))
    if app_name is None:
        raise RayServeException("get_deployment_handle: outside of a replica, `app_name` is needed")
    try:
        known = _deployments(app_name)
    except RayServeException as error:
        raise KeyError(error.message) from None
    if deployment_name not in known:
        raise KeyError(f"deployment {deployment_name!r} of application {app_name!r}; it has {known}")
    return DeploymentHandle(Target(app_name, deployment_name))


def _deployments(application: str) -> list[str]:
    host = _host
    if host is None:
        raise RayServeException(f"Application {application!r} does not exist.")

    async def read() -> list[str]:
        return host.controller.deployments(application)

    return host.do(read())


def _running() -> Host:
    if _host is None:
        raise RayServeException("nothing is served: call `serve.start` or `serve.run` first")
    return _host


os.register_at_fork(after_in_child=_forget)
