"""The port for probes: health from threads of its own, so that no answer waits behind work on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc

from swath.health.v1 import health_pb2, health_pb2_grpc
from swath.rpc.addresses import Address
from swath.rpc.server.binding import bind
from swath.rpc.server.health import HealthBoard, listed

_STATUS = health_pb2.HealthCheckResponse
_BEAT_INTERVAL_S = 1.0


class ProbeServer:
    """Answers Check and List in plain text from what the board says: Kubernetes can show no certificate.

    A busy event loop is no dead one, so for a while it does not matter that it stands; then all names are NOT_SERVING,
    and kubelet starts the process again.

    Args:
        board: What to answer.
        address: Where to listen.
        stall_limit_s: How long the event loop may stand.

    Attributes:
        port: Port that it listens on.

    Raises:
        Unavailable: The address is taken or not to be had.
    """

    def __init__(self, board: HealthBoard, address: Address, stall_limit_s: float) -> None:
        self._board = board
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=2, thread_name_prefix="swath-probes"),
            options=[("grpc.so_reuseport", 0)],
        )
        health_pb2_grpc.add_HealthServicer_to_server(_Servicer(board, stall_limit_s), self._server)
        self.port = bind(self._server.add_insecure_port, address, "SWATH_HEALTH_PORT")
        self._heart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer, and watch over the event loop that this is called on."""
        self._board.beat()
        self._heart = asyncio.create_task(self._beat())
        self._server.start()

    async def stop(self) -> None:
        """Answer no more."""
        if self._heart is not None:
            self._heart.cancel()
            with suppress(asyncio.CancelledError):
                await self._heart
        await asyncio.to_thread(self._server.stop(0).wait)

    async def _beat(self) -> None:
        while True:
            self._board.beat()
            await asyncio.sleep(_BEAT_INTERVAL_S)


class _Servicer(health_pb2_grpc.HealthServicer):
    def __init__(self, board: HealthBoard, stall_limit_s: float) -> None:
        self._board = board
        self._stall_limit_s = stall_limit_s

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        status = self._statuses().get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return _STATUS()
        return _STATUS(status=status)

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        return listed(self._statuses())

    def _statuses(self) -> Mapping[str, health_pb2.HealthCheckResponse.ServingStatus]:
        statuses = self._board.statuses
        if self._board.stands_for() > self._stall_limit_s:
            return dict.fromkeys(statuses, _STATUS.NOT_SERVING)
        return statuses
