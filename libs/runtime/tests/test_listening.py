"""Where a server listens is where clients find it: all of it, or it says why not."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.client.channel import target_of
from swath.errors import Unavailable
from swath.rpc.server.health import HealthBoard
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Any]]:
    """Starts servers on hosts."""
    started: list[Server] = []

    async def start(host: str, port: int = 0) -> Server:
        settings = ServerSettings(host=host, port=port, auth="off", drain_grace_s=0.0)
        server = Server(settings, [], (), HealthBoard(("session",)))
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.drain()


async def _answers(target: str) -> bool:
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="swath.session"), timeout=10)
        return answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "unix:{}/swath.sock"])
async def test_clients_take_the_address_of_a_server(listen: Callable[..., Any], host: str, tmp_path: Path) -> None:
    server = await listen(host.format(tmp_path))
    assert await _answers(target_of(str(server.address)))


async def test_all_addresses_are_those_of_both_families(listen: Callable[..., Any]) -> None:
    server = await listen("::")
    for target in (str(server.address), f"[::1]:{server.port}", f"127.0.0.1:{server.port}"):
        assert await _answers(target)


async def test_all_addresses_of_which_one_is_taken_are_refused(listen: Callable[..., Any]) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"cannot listen on \[::\]:{port}: Address already in use"):
            await listen("::", port)


async def test_a_socket_of_a_server_that_runs_is_not_replaced(listen: Callable[..., Any], tmp_path: Path) -> None:
    host = f"unix:{tmp_path}/swath.sock"
    server = await listen(host)
    with pytest.raises(Unavailable, match="Address already in use; choose another path"):
        await listen(host)
    assert await _answers(str(server.address))


async def test_a_socket_that_a_dead_server_has_left_is_taken(listen: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "swath.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = await listen(f"unix:{path}")
    assert await _answers(str(server.address))


def test_a_host_with_a_port_is_refused() -> None:
    with pytest.raises(ValueError, match="the port apart from it"):
        ServerSettings(host="127.0.0.1:50051")
