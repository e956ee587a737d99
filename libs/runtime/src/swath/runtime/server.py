"""One gRPC server of a Swath process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from swath.errors import InvalidInput
from swath.health.v1 import health_pb2
from swath.rpc.server.binding import listen, server_options
from swath.rpc.server.calls import Calls
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.in_flight import InFlight
from swath.rpc.server.methods import FallbackHandler, Methods, whole_handler
from swath.rpc.server.reactor import make_server
from swath.rpc.server.reflection import changing_reflection_handlers, reflection_handlers
from swath.rpc.tls import tls_files
from swath.rpc.tracing import CallTraces
from swath.runtime.assembly import OtherServices
from swath.runtime.auth.access import Access
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.probes import ProbeServer
from swath.runtime.settings import ServerSettings

if TYPE_CHECKING:  # a server without a port for them needs no Prometheus
    from swath.rpc.server.metrics import Metrics

_LAST_ANSWERS_S = 0.5
"""Time for responses on their way out, and for the last health status to reach watchers."""

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class Server:
    """A gRPC server with health and reflection.

    Args:
        settings: Where to listen, TLS, who may call, limits and drain times.
        handlers: Slices and whole services, in the order in which they are asked.
        names: Full names of the gRPC services that reflection lists.
        health: What health answers from.
        behind_gateway: Whether clients reach it through the gateway alone. With TLS, public methods are then the
            gateway's to call, and private ones those services' that `swath.runtime.auth.authorization` names.
        metrics: Where calls are counted; served on `metrics_port`.
        others: Services that come and go, if there are any.

    Raises:
        InvalidInput: TLS files, or files with tokens or keys of issuers, cannot be used.
    """

    def __init__(
        self,
        settings: ServerSettings,
        handlers: Iterable[Methods],
        names: Iterable[str],
        health: HealthBoard,
        *,
        behind_gateway: bool = False,
        metrics: Metrics | None = None,
        others: OtherServices | None = None,
    ) -> None:
        self._settings = settings
        self._health = health
        self._in_flight = InFlight()
        self._tls = tls_files(settings)
        self._metrics = metrics
        if others is not None:
            health.others = others.health
            others.watch(health.servicer.publish)
        calls = Calls(
            handlers,
            later=() if others is None else (others.handler,),
            standard=(
                whole_handler(_HEALTH, health.servicer),
                *_reflection((*names, _HEALTH), others),
                *(() if others is None else others.open),
            ),
            fallback=FallbackHandler(),
            slow_s=settings.slow_call_s,
            in_flight=self._in_flight,
            max_metadata_bytes=settings.max_metadata_bytes,
            metrics=None if metrics is None else metrics.calls,
            traces=CallTraces(),
            access=self._access(behind_gateway=behind_gateway),
        )
        self._server = make_server(
            server_options(settings.max_message_bytes, settings.max_metadata_bytes, settings.max_connection_age_s)
        )
        self._server.add_generic_rpc_handlers((calls,))
        self._probes: ProbeServer | None = None
        self.address = settings.address
        self.port = 0
        self.health_port = 0

    async def start(self) -> None:
        """Listen and answer; `address` and `port` then hold where, and `health_port` that for probes if there is one.

        Raises:
            Unavailable: The address is taken or not to be had.
        """
        settings = self._settings
        server, address = self._server, settings.address
        required = settings.client_certificates == "required"
        self.address = listen(server, address, self._tls, certificates=required, setting="--port")
        self.port = self.address.port
        if settings.health_port:
            self._probes = ProbeServer(self._health, address.at(settings.health_port), settings.stall_limit_s)
            self.health_port = self._probes.port
        if self._metrics is not None and settings.metrics_port:
            self._metrics.serve(address.at(settings.metrics_port))
        await self._health.publish()
        if self._probes is not None:
            await self._probes.start()
        await self._server.start()

    async def drain(self, send_away: Callable[[], Awaitable[None]] | None = None) -> None:
        """Stop without a failed call.

        Health is NOT_SERVING while calls are still taken through the lag; then new calls are refused and those in
        flight end within the grace.

        Args:
            send_away: Ends streams that would outlast the grace; called after the lag.
        """
        await self._health.drain()
        await asyncio.sleep(self._settings.drain_lag_s)
        self._health.end_suite_watches()
        if send_away is not None:
            await send_away()
        self._in_flight.close()
        await self._in_flight.empty(self._settings.drain_grace_s)
        await self._server.stop(_LAST_ANSWERS_S)
        if self._probes is not None:
            await self._probes.stop()
        if self._metrics is not None:
            self._metrics.stop()

    def _access(self, *, behind_gateway: bool) -> Access | None:
        settings = self._settings
        if behind_gateway and self._tls is not None and settings.client_certificates == "ignored":
            raise InvalidInput("behind a gateway client_certificates must be required: services know each other so")
        authenticator = Authenticator(settings, behind_gateway=behind_gateway) if settings.auth_required else None
        if self._tls is None and authenticator is None:
            return None
        return Access(authenticator, tls=self._tls is not None, behind_gateway=behind_gateway)


def _reflection(names: Sequence[str], others: OtherServices | None) -> tuple[Methods, ...]:
    if others is None:
        return reflection_handlers(names)
    return changing_reflection_handlers(lambda: (*names, *others.names()), others.pools)
