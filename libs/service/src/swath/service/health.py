"""Health by the standard protocol, honest about every name.

Services say whether they are ready; the names that clients ask for follow from the method -> service table:
`swath.<service>` is one service, a gRPC service's name is all services that own part of it, the empty name is session
and config, without which no client can begin. Watch follows changes; unknown names are NOT_FOUND.
"""

from __future__ import annotations

from collections.abc import Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from swath.api import CUVIS, WORKSPACE, services

_ESSENTIAL = ("session", "config")
_STATUS = health_pb2.HealthCheckResponse


class HealthBoard:
    """Which parts of this process are ready, and the health servicer that tells.

    Args:
        parts: Names of the Swath services in this process, such as "session".
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._ready = dict.fromkeys(parts, False)
        self._draining = False
        self.servicer = HealthServicer()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Every name that health answers to, and the parts that must be ready for it to be SERVING."""
        names: dict[str, tuple[str, ...]] = {f"swath.{part}": (part,) for part in self._ready}
        for service in (CUVIS, WORKSPACE):
            if here := tuple(part for part in services(service) if part in self._ready):
                names[service] = here
        names[""] = tuple(part for part in _ESSENTIAL if part in self._ready) or tuple(self._ready)
        return names

    async def publish(self) -> None:
        """Make every name known with the state that it has now."""
        for name, parts in self.names.items():
            serving = not self._draining and all(self._ready[part] for part in parts)
            await self.servicer.set(name, _STATUS.SERVING if serving else _STATUS.NOT_SERVING)

    async def set_ready(self, part: str, ready: bool = True) -> None:
        """Say whether a part can do its work."""
        self._ready[part] = ready
        await self.publish()

    async def drain(self) -> None:
        """Turn every name to NOT_SERVING for good; calls are still answered."""
        self._draining = True
        await self.publish()
