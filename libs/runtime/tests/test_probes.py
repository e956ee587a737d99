"""Health does not wait behind work: a busy event loop is no dead one, and one that stands for ever is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.health.v1 import health_pb2 as whole_health
from swath.health.v1 import health_pb2_grpc as whole_health_grpc
from swath.rpc.addresses import Address
from swath.rpc.server.health import HealthBoard
from swath.runtime.health_watch import HealthWatch
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NO_PROXY = [("grpc.enable_http_proxy", 0)]
PATIENCE_S = 120.0


@pytest.fixture
async def start(unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Callable[..., Any]]:
    """Starts a server whose session service is ready, with a port for probes."""
    started: list[Server] = []

    async def go(**settings: Any) -> tuple[Server, HealthBoard]:
        board = HealthBoard(("session",))
        server = Server(
            ServerSettings(port=0, health_port=unused_tcp_port_factory(), auth="off", drain_grace_s=0.0, **settings),
            [],
            (),
            board,
        )
        await server.start()
        started.append(server)
        await board.set_ready("session")
        return server, board

    yield go
    for server in started:
        await server.drain()


def _check(port: int, name: str = "swath.session") -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=NO_PROXY) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_S, wait_for_ready=True).status


def _hold_loop_until(ask: Callable[[], int]) -> list[int]:
    """Keep the event loop from turning until a thread has an answer; return that, or nothing if none came."""
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return answers


async def test_probes_are_answered_while_the_event_loop_is_held(start: Callable[..., Any]) -> None:
    server, _ = await start()
    assert _hold_loop_until(lambda: _check(server.health_port)) == [SERVING]


async def test_an_event_loop_that_stands_too_long_is_not_serving(start: Callable[..., Any]) -> None:
    server, _ = await start(stall_limit_s=0.2)

    def ask() -> int:
        while _check(server.health_port) == SERVING:
            pass
        return NOT_SERVING

    assert _hold_loop_until(ask) == [NOT_SERVING]


async def test_an_event_loop_that_turns_again_serves_again(start: Callable[..., Any]) -> None:
    server, board = await start(stall_limit_s=30.0)
    board.beat = lambda: None  # type: ignore[method-assign]
    board._beaten -= 60.0
    assert await asyncio.to_thread(_check, server.health_port) == NOT_SERVING
    del board.beat
    board.beat()
    assert await asyncio.to_thread(_check, server.health_port) == SERVING


async def test_a_server_that_drains_tells_its_probes(start: Callable[..., Any]) -> None:
    server, board = await start()
    await board.drain()
    assert await asyncio.to_thread(_check, server.health_port) == NOT_SERVING


async def test_probes_know_the_names_of_the_server_and_no_others(start: Callable[..., Any]) -> None:
    server, board = await start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}", options=NO_PROXY) as channel:
        stub: Any = whole_health_grpc.HealthStub(channel)
        listed = await stub.List(whole_health.HealthListRequest())
        assert {name: answer.status for name, answer in listed.statuses.items()} == dict(board.statuses)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(whole_health.HealthCheckRequest(service="swath.nothing"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class _Replica(health_pb2_grpc.HealthServicer):
    """Says that it is ready, once; then it is asked in vain until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.goes_on = asyncio.Event()
        self.status = SERVING

    async def Check(self, request: Any, context: Any) -> Any:
        self.asked += 1
        if self.asked > 1:
            await self.goes_on.wait()
        return health_pb2.HealthCheckResponse(status=self.status)


async def test_a_late_answer_of_a_replica_is_no_outage() -> None:
    replica = _Replica()
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(replica, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    changes: list[bool] = []

    class Board(HealthBoard):
        async def set_ready(self, part: str, ready: bool = True) -> None:
            await super().set_ready(part, ready)
            changes.append(ready)
            changed.set()

    changed = asyncio.Event()
    board = Board((), ("session",))
    address = Address.of("127.0.0.1").at(port)
    watch = HealthWatch(board, {"session": [address]}, lambda _, to: grpc.aio.insecure_channel(str(to)))
    await watch.start()
    try:
        while len(changes) < 3:  # the first answer, and two that did not come
            changed.clear()
            await changed.wait()
        assert changes[:3] == [True, True, True]
        replica.status = NOT_SERVING
        replica.goes_on.set()
        while changes[-1]:
            changed.clear()
            await changed.wait()
    finally:
        await watch.stop()
        await server.stop(0)


async def test_the_models_of_a_suite_are_those_of_all_replicas_and_serve_where_one_does() -> None:
    boards = [HealthBoard(("inference",)) for _ in range(2)]
    servers = [Server(ServerSettings(port=0), [], (), board) for board in boards]
    for server, board in zip(servers, boards, strict=True):
        await server.start()
        await board.set_ready("inference")
    await boards[0].set_models("inference", {"swath.model/both": False, "swath.model/one": True})
    await boards[1].set_models("inference", {"swath.model/both": True, "swath.model/failed": False})
    seen = asyncio.Event()

    class Front(HealthBoard):
        async def set_ready(self, part: str, ready: bool = True) -> None:
            await super().set_ready(part, ready)
            seen.set()

    front = Front(("session",), ("inference",))
    addresses = [server.address for server in servers]
    watch = HealthWatch(front, {"inference": addresses}, lambda _, to: grpc.aio.insecure_channel(str(to)))
    await watch.start()
    try:
        await seen.wait()
        found = {name: await front.status(f"swath.model/{name}") for name in ("both", "one", "failed", "none")}
        assert found == {"both": SERVING, "one": SERVING, "failed": NOT_SERVING, "none": None}
    finally:
        await watch.stop()
        for server in servers:
            await server.drain()
