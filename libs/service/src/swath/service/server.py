"""One gRPC server of a Swath process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.errors import Unavailable
from swath.service.gate import Gate
from swath.service.health import HealthBoard
from swath.service.interceptors import CallInterceptor
from swath.service.reflection import add_reflection
from swath.service.settings import ServerSettings
from swath.service.slices import FallbackHandler

_LAST_ANSWERS_S = 0.5
"""Time for answers on their way out, and for health's last word to watchers."""

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


def server_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return channel arguments of a server."""
    options = [
        # Otherwise two servers share a port silently, and calls go to either.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Clients of long streams ping to notice a dead peer; the default would send them away for it.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if settings.max_connection_age_s:
        options.append(("grpc.max_connection_age_ms", int(settings.max_connection_age_s * 1000)))
    return options


class Server:
    """A gRPC server with health and reflection.

    Args:
        settings: Where to listen, limits and drain times.
        handlers: Slices and whole services, in the order in which they are asked.
        names: Full names of the gRPC services that reflection lists.
        health: What health answers from.
    """

    def __init__(
        self,
        settings: ServerSettings,
        handlers: Iterable[grpc.GenericRpcHandler],
        names: Iterable[str],
        health: HealthBoard,
    ) -> None:
        self._settings = settings
        self._health = health
        self._gate = Gate()
        self._server = grpc.aio.server(
            interceptors=(CallInterceptor(settings.slow_call_s, self._gate),), options=server_options(settings)
        )
        self._server.add_generic_rpc_handlers(tuple(handlers))
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, self._server)
        add_reflection(self._server, (*names, _HEALTH))
        self._server.add_generic_rpc_handlers((FallbackHandler(),))
        self.port = 0

    async def start(self) -> None:
        """Listen and answer; `port` then holds the port.

        Raises:
            Unavailable: The address is taken or not to be had.
        """
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise Unavailable(
                f"cannot listen on {address}: the port is taken or the address is not of this machine; "
                "choose another --port"
            ) from error
        await self._health.publish()
        await self._server.start()

    async def drain(self, send_away: Callable[[], Awaitable[None]] | None = None) -> None:
        """Go away without a failed call.

        Health says NOT_SERVING while calls are still taken through the lag; then new calls are refused and those in
        flight end within the grace.

        Args:
            send_away: Ends streams that would outlast the grace; called after the lag.
        """
        await self._health.drain()
        await asyncio.sleep(self._settings.drain_lag_s)
        if send_away is not None:
            await send_away()
        self._gate.close()
        await self._gate.empty(self._settings.drain_grace_s)
        await self._server.stop(_LAST_ANSWERS_S)
