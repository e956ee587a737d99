"""Health by the standard protocol, honest about every name.

Services set whether they are ready; the names that clients ask for follow from the registry: `swath.<service>` is one
service, a gRPC service's name is all services that own part of it, the empty name is session and config, without which
no client can begin. Services may add names that come and go, such as those of models. Watch follows changes; unknown
names are NOT_FOUND.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import grpc

from swath.api import REGISTRY, Registry
from swath.health.v1 import health_pb2, health_pb2_grpc

_STATUS = health_pb2.HealthCheckResponse

MODEL = "swath.model/"
"""What the names of published models begin with; they are names of the inference service, and List does not have them:
not everybody may call each model."""
_ASK_INTERVAL_S = 1.0

Status = health_pb2.HealthCheckResponse.ServingStatus
Statuses = Mapping[str, Status]


class Board(Protocol):
    """What a health servicer answers from."""

    @property
    def statuses(self) -> Statuses:
        """What each name is that List has."""
        ...

    async def status(self, name: str) -> Status | None:
        """Return what a name is; None for an unknown one."""
        ...

    def elsewhere(self, name: str) -> bool:
        """Return whether what a name is may change without `HealthServicer.publish` being called."""
        ...


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
        models: Likewise of the models of services here.
        ask_models: Asks elsewhere what the name of a model is; None where it is known nowhere.
        others: Answers for names of what users define, which come after all others; None where they define nothing.
        ask_others: Asks elsewhere what such a name is; None where it is known nowhere.
    """

    def __init__(self, parts: Iterable[str], others: Iterable[str] = (), *, registry: Registry = REGISTRY) -> None:
        own = tuple(parts)
        self._registry = registry
        self._own = frozenset(own)
        self._ready = dict.fromkeys((*own, *others), False)
        self._models: dict[str, Mapping[str, bool]] = {}
        self._draining = False
        self._beaten = time.monotonic()
        self.statuses: Statuses = {}
        self.models: Statuses = {}
        self.ask_models: Callable[[str], Awaitable[Status | None]] | None = None
        self.others: Board | None = None
        self.ask_others: Callable[[str], Awaitable[Status | None]] | None = None
        self.servicer = HealthServicer(self)

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
        self.models = {
            name: self._status((part,), also=ready)
            for part, models in self._models.items()
            for name, ready in models.items()
        }
        self.servicer.publish()

    async def status(self, name: str) -> Status | None:
        """Return what a name is; None for an unknown one."""
        status = self.statuses.get(name, self.models.get(name))
        if status is None and (ask := self._asked(name)) is not None:
            return await ask(name)
        if status is None and self.others is not None:
            return await self.others.status(name)
        return status

    def elsewhere(self, name: str) -> bool:
        """Return whether a name is asked about elsewhere each time."""
        return name not in self.statuses and name not in self.models and self._asked(name) is not None

    def _asked(self, name: str) -> Callable[[str], Awaitable[Status | None]] | None:
        return self.ask_models if name.startswith(MODEL) else self.ask_others

    def _status(self, parts: tuple[str, ...], *, also: bool = True) -> Status:
        goes = self._draining and self._own.issuperset(parts)
        serving = not goes and also and all(self._ready[part] for part in parts)
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

    async def set_models(self, part: str, models: Mapping[str, bool]) -> None:
        """Replace the names of a part's models, and whether it can compute each: all come and go as it likes.

        They are SERVING only where the part is ready as well.
        """
        if self._models.get(part, {}) != models:
            self._models[part] = dict(models)
            await self.publish()

    async def drain(self) -> None:
        """Turn the names of this process to NOT_SERVING for good; calls are still answered."""
        self._draining = True
        await self.publish()

    def end_suite_watches(self) -> None:
        """End the streams of clients that watch names of the suite: they go on watching at another replica."""
        own = {name for name, parts in self.names.items() if self._own.issuperset(parts)}
        self.servicer.end_watches(own.union(self.models))


def listed(statuses: Statuses) -> health_pb2.HealthListResponse:
    """Return the answer of List."""
    answers = {name: health_pb2.HealthCheckResponse(status=status) for name, status in statuses.items()}
    return health_pb2.HealthListResponse(statuses=answers)


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers Check, List and Watch from a board.

    Each watch can be ended; the package's own servicer loses all of a name when one of them ends.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._watches: dict[asyncio.Task[None], str] = {}
        self._changed = asyncio.Event()

    def publish(self) -> None:
        """Have watches look at the board."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802 - the protocol's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        status = await self._board.status(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - the protocol's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> None:
        watch = asyncio.create_task(self._tell(request.service, context))
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

    def end_watches(self, own: Collection[str] = ()) -> None:
        """End the watches of all names but these."""
        for watch, name in self._watches.items():
            if name not in own:
                watch.cancel()

    async def _tell(self, name: str, context: Any) -> None:
        told = None
        while True:
            changed = self._changed
            status = await self._board.status(name) or _STATUS.SERVICE_UNKNOWN
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            # What is elsewhere has to be asked again.
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_INTERVAL_S if self._board.elsewhere(name) else None):
                    await changed.wait()
