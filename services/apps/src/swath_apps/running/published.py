"""Users' services as the server of this process publishes them: their methods, reflection, health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from swath.api.descriptors import pools as own_pools
from swath.serve.config import gRPCOptions
from swath.serve.front import Front, Service
from swath.serve.front.about import RAY_SERVE
from swath.serve.schema import Found
from swath_apps.running.guard import GuardedApplications
from swath_apps.running.hosting import Hosting

if TYPE_CHECKING:  # a server without a port for them needs no Prometheus
    from swath.rpc.server.metrics import Metrics


class UsersServices:
    """What `swath.runtime.assembly.OtherServices` asks for.

    Args:
        hosting: What runs.
    """

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._front = Front(GuardedApplications(hosting), gRPCOptions())
        self.handler = self._front.handlers()
        self.open = (self._front.api(),)
        self.health = self._front.health
        hosting.told(self.publish)

    def publish(self) -> None:
        """Serve the services of the applications that there are now, and no others."""
        services: dict[str, Service] = {}
        for row in self._hosting.rows.values():
            for service in Found.of_json(row.found).services:
                known = services.get(service.name)
                services[service.name] = service if known is None else _united(known, service)
        self._front.publish(services.values())

    def tell(self, metrics: Metrics) -> None:
        """Publish figures of applications and their deployments."""
        self._front.tell(metrics)

    def names(self) -> Sequence[str]:
        """Return the full names that reflection lists: users' own, as Ray Serve does."""
        return [name for name in self._front.names() if name != RAY_SERVE.full_name]

    def pools(self) -> Iterable[Any]:
        """Return the descriptor pools that hold them, after the suite's own: no user's file hides one of those."""
        return (*own_pools(), *self._front.pools())

    def watch(self, changed: Callable[[], None]) -> None:
        """Have a function called when the health of an application may have changed."""
        self._hosting.controller.watch(changed)


def _united(first: Service, second: Service) -> Service:
    """Return a service with the methods of two of its versions; the applications know which they have."""
    paths = {each.path for each in first.methods}
    return Service(
        first.name, (*first.methods, *(each for each in second.methods if each.path not in paths)), first.files
    )
