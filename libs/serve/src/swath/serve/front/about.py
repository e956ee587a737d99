"""What a server of applications says of itself: `ray.serve.RayServeAPIService`, and health by the standard protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swath.errors import Unavailable
from swath.health.v1 import health_pb2
from swath.rpc.server.health import HealthServicer, Status, Statuses
from swath.rpc.server.methods import Methods, described_handler
from swath.serve.exchange import Applications
from swath.serve.generated import serve_pb2

RAY_SERVE = serve_pb2.DESCRIPTOR.services_by_name["RayServeAPIService"]
"""Descriptor of Ray Serve's own service."""

_STATUS = health_pb2.HealthCheckResponse


class RayServeAPI:
    """Answers `ray.serve.RayServeAPIService`, by its wire. It reads no metadata and sends none.

    Args:
        applications: What there is.
        draining: Returns whether the server goes away.
    """

    def __init__(self, applications: Applications, draining: Callable[[], bool]) -> None:
        self._applications = applications
        self._draining = draining

    def methods(self) -> Methods:
        """Return its handlers."""
        return described_handler(RAY_SERVE, self)

    async def ListApplications(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self._check(context)
        return serve_pb2.ListApplicationsResponse(application_names=self._applications.names())

    async def Healthz(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        self._check(context)
        return serve_pb2.HealthzResponse(message="success")

    def _check(self, context: Any) -> None:
        if self._draining():
            raise Unavailable("This node is being drained.")
        if not self._applications.populated():
            raise Unavailable("Route table is not populated yet.")
        context.set_details("success")


class ApplicationHealth:
    """Health of each application by its name, and of all of them by the empty name.

    An application is SERVING while calls of it are answered. The empty name is SERVING when all are, once there has
    been one; a server that drains is NOT_SERVING by every name.

    Args:
        applications: What there is.
        draining: Returns whether the server goes away.

    Attributes:
        servicer: Answers Check, List and Watch.
    """

    def __init__(self, applications: Applications, draining: Callable[[], bool]) -> None:
        self._applications = applications
        self._draining = draining
        self.servicer = HealthServicer(self)

    @property
    def statuses(self) -> Statuses:
        """What each name is."""
        states = {name: self._applications.state(name) for name in self._applications.names()}
        goes = self._draining()
        healthy = {name: state is not None and state.healthy and not goes for name, state in states.items()}
        whole = self._applications.populated() and not goes and all(healthy.values())
        return {
            name: _STATUS.SERVING if good else _STATUS.NOT_SERVING for name, good in ({"": whole} | healthy).items()
        }

    async def status(self, name: str) -> Status | None:
        """Return what a name is; None for an unknown one."""
        return self.statuses.get(name)

    def elsewhere(self, name: str) -> bool:
        """Return whether a name is asked about elsewhere: none is."""
        return False
