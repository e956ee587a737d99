"""Health by the standard protocol, honest about every name.

Services set whether they are ready; the names that clients ask for follow from the registry: `swath.<service>` is one
service, a gRPC service's name is all services that own part of it, the empty name is session and config, without which
no client can begin. Watch follows changes; unknown names are NOT_FOUND.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from swath.api import REGISTRY, Registry

_STATUS = health_pb2.HealthCheckResponse
_MESSAGES: Any = health_pb2  # its type stubs lack those of List


class HealthBoard:
    """Which services are ready, and the health servicer that publishes it.

    A replica that drains turns its own names to NOT_SERVING, and no others: the suite's other replicas go on, and a
    client that watches the suite through a gateway must not take the end of one replica for the end of all.

    Args:
        parts: Names of the Swath services in this process, such as "session".
        others: Names of the suite's services that are elsewhere.
        registry: Which services own which gRPC services.

    Attributes:
        servicer: Answers Check, List and Watch on the event loop.
        statuses: What each name is, as a whole: replaced and never changed, so that other threads may read it.
    """

    def __init__(self, parts: Iterable[str], others: Iterable[str] = (), *, registry: Registry = REGISTRY) -> None:
        own = tuple(parts)
        self._registry = registry
        self._own = frozenset(own)
        self._ready = dict.fromkeys((*own, *others), False)
        self._draining = False
        self._beaten = time.monotonic()
        self.statuses: Mapping[str, health_pb2.HealthCheckResponse.ServingStatus] = {}
        self.servicer = _Servicer(self)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Every name that health answers to, and the parts that must be ready for it to be SERVING."""
        registry = self._registry
        names: dict[str, tuple[str, ...]] = {registry.service(part).health_name: (part,) for part in self._ready}
        for service in registry.public:
            if here := tuple(part for part in registry.owners(service) if part in self._ready):
                names[service] = here
        names[""] = tuple(part for part in registry.essential if part in self._ready) or tuple(self._ready)
        return names

    async def publish(self) -> None:
        """Make every name known with the state that it has now."""
        self.statuses = {name: self._status(parts) for name, parts in self.names.items()}
        for name, status in self.statuses.items():
            await self.servicer.set(name, status)

    def _status(self, parts: tuple[str, ...]) -> health_pb2.HealthCheckResponse.ServingStatus:
        goes = self._draining and self._own.issuperset(parts)
        serving = not goes and all(self._ready[part] for part in parts)
        return _STATUS.SERVING if serving else _STATUS.NOT_SERVING

    def beat(self) -> None:
        """Note that the event loop turns; it does so once per second."""
        self._beaten = time.monotonic()

    def stands_for(self) -> float:
        """Return the seconds since the event loop has last said that it turns."""
        return time.monotonic() - self._beaten

    async def set_ready(self, part: str, ready: bool = True) -> None:
        """Set whether a part can do its work."""
        self._ready[part] = ready
        await self.publish()

    async def drain(self) -> None:
        """Turn the names of this process to NOT_SERVING for good; calls are still answered."""
        self._draining = True
        await self.publish()

    def end_suite_watches(self) -> None:
        """End the streams of clients that watch names of the suite: they go on watching at another replica."""
        self.servicer.end_watches({name for name, parts in self.names.items() if not self._own.issuperset(parts)})


def listed(statuses: Mapping[str, health_pb2.HealthCheckResponse.ServingStatus]) -> Any:
    """Return the answer of List."""
    answers = {name: health_pb2.HealthCheckResponse(status=status) for name, status in statuses.items()}
    return _MESSAGES.HealthListResponse(statuses=answers)


class _Servicer(HealthServicer):
    """The standard one, whose watches can be ended, and which lists all names."""

    def __init__(self, board: HealthBoard) -> None:
        super().__init__()
        self._board = board
        self._watches: dict[asyncio.Task[None], str] = {}

    async def Watch(  # noqa: N802 - the protocol's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> None:
        watch = asyncio.create_task(super().Watch(request, context))
        self._watches[watch] = request.service
        try:
            await asyncio.wait([watch])
            if watch.cancelled():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this replica goes away; watch another one")
            await watch
        finally:
            del self._watches[watch]
            watch.cancel()

    async def List(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return listed(self._board.statuses)

    def end_watches(self, names: set[str]) -> None:
        for watch, name in self._watches.items():
            if name in names:
                watch.cancel()
