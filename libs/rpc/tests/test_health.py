"""Health tells the truth about every name."""

import asyncio
from typing import Any

import grpc
import pytest

from swath.api import CUVIS, WORKSPACE
from swath.health.v1 import health_pb2, health_pb2_grpc
from swath.rpc.server.health import HealthBoard

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class _Any:
    def __getattr__(self, name):
        async def never(request, context): ...

        return never


@pytest.fixture
async def suite(serve):
    part = await serve({name: _Any() for name in ("session", "config", "pipeline", "training", "inference")})
    part.check = lambda name: _status(part.channel, name)
    return part


async def _status(channel, name: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return answer.status


async def test_nothing_serves_before_it_is_ready(suite):
    assert [await suite.check(name) for name in ("", CUVIS, "swath.inference")] == [NOT_SERVING] * 3


async def test_the_empty_name_is_session_and_config(suite):
    await suite.health.set_ready("session")
    assert await suite.check("") == NOT_SERVING
    await suite.health.set_ready("config")
    assert await suite.check("") == SERVING


async def test_a_service_name_needs_all_its_owners(suite):
    for name in ("session", "config", "pipeline", "training"):
        await suite.health.set_ready(name)
    assert await suite.check(WORKSPACE) == SERVING
    assert await suite.check(CUVIS) == NOT_SERVING
    await suite.health.set_ready("inference")
    assert await suite.check(CUVIS) == SERVING


async def test_an_unknown_name_is_not_found(suite):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.check("swath.nothing")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_watch_follows_changes(suite):
    stub: Any = health_pb2_grpc.HealthStub(suite.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="swath.inference"))
    assert (await watch.read()).status == NOT_SERVING
    await suite.health.set_ready("inference")
    assert (await watch.read()).status == SERVING
    await suite.health.set_ready("inference", False)
    assert (await asyncio.wait_for(watch.read(), 5)).status == NOT_SERVING
    watch.cancel()


async def test_draining_is_for_good():
    board = HealthBoard(("session", "config"))
    await board.set_ready("session")
    await board.set_ready("config")
    await board.drain()
    await board.set_ready("session")
    answer: Any = await board.servicer.Check(health_pb2.HealthCheckRequest(service="swath.session"), None)
    assert answer.status == NOT_SERVING


async def _said(board: HealthBoard, name: str) -> int:
    answer: Any = await board.servicer.Check(health_pb2.HealthCheckRequest(service=name), None)
    return answer.status


async def test_a_replica_that_drains_speaks_of_itself_alone():
    board = HealthBoard(("session",), ("config",))
    await board.set_ready("session")
    await board.set_ready("config")
    await board.drain()
    assert await _said(board, "swath.session") == NOT_SERVING
    assert [await _said(board, name) for name in ("", "swath.config", CUVIS)] == [SERVING] * 3
    await board.set_ready("config", False)
    assert await _said(board, "") == NOT_SERVING


async def test_who_watches_the_suite_is_sent_to_another_replica(serve):
    part = await serve({"session": _Any()}, others=("config",))
    board = part.health
    await board.set_ready("session")
    await board.set_ready("config")
    stub: Any = health_pb2_grpc.HealthStub(part.channel)
    suite, own = (stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", "swath.session"))
    assert [(await watch.read()).status for watch in (suite, own)] == [SERVING, SERVING]
    await board.drain()
    board.end_suite_watches()
    assert (await own.read()).status == NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.read()
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.UNAVAILABLE,
        "this replica goes away; watch another one",
    )
    own.cancel()


MODEL = "swath.model/scene"


async def test_names_of_models_come_and_go_and_each_watch_of_one_is_told(serve):
    part = await serve({"inference": _Any()})
    await part.health.set_ready("inference")
    stub: Any = health_pb2_grpc.HealthStub(part.channel)
    first, second = (stub.Watch(health_pb2.HealthCheckRequest(service=MODEL)) for _ in range(2))
    assert [(await watch.read()).status for watch in (first, second)] == [UNKNOWN] * 2
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _status(part.channel, MODEL)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    await part.health.set_models("inference", {MODEL: True})
    assert [(await watch.read()).status for watch in (first, second)] == [SERVING] * 2
    assert await _status(part.channel, MODEL) == SERVING
    first.cancel()
    await part.health.set_models("inference", {MODEL: False})
    assert (await asyncio.wait_for(second.read(), 5)).status == NOT_SERVING
    await part.health.set_models("inference", {})
    assert (await asyncio.wait_for(second.read(), 5)).status == UNKNOWN
    second.cancel()


async def test_a_model_serves_no_longer_than_its_service():
    board = HealthBoard(("inference",))
    await board.set_models("inference", {MODEL: True})
    assert await _said(board, MODEL) == NOT_SERVING
    await board.set_ready("inference")
    assert await _said(board, MODEL) == SERVING
    await board.drain()
    assert await _said(board, MODEL) == NOT_SERVING


async def test_models_are_not_among_the_names_that_anybody_may_list():
    board = HealthBoard(("inference",))
    await board.set_models("inference", {MODEL: True})
    assert "swath.inference" in board.statuses
    assert MODEL not in board.statuses


async def test_a_model_that_is_computed_elsewhere_is_asked_for_there(serve):
    part = await serve({"session": _Any()}, others=("inference",))
    said: list[Any] = [SERVING]

    async def ask(name: str) -> Any:
        return said[-1] if name == MODEL else None

    part.health.ask_models = ask
    assert await _status(part.channel, MODEL) == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _status(part.channel, f"{MODEL}/more")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    stub: Any = health_pb2_grpc.HealthStub(part.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=MODEL))
    for status in (SERVING, NOT_SERVING, None):
        said.append(status)
        assert (await asyncio.wait_for(watch.read(), 5)).status == (status or UNKNOWN)
    part.health.end_suite_watches()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
