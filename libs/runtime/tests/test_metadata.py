"""Metadata up to the limit always gets to a server, and above it never: refused in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from swath.client.errors import ExhaustedError, call_error
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.rpc.metadata import MAX_METADATA_BYTES
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings

CALLS = 200
METHOD = "/cuvis_ai.v1.CuvisAIService/CreateSession"


@pytest.fixture
async def target(who_am_i: Any) -> AsyncIterator[str]:
    settings = ServerSettings(port=0, drain_grace_s=0.0)
    handlers = [slice_handler("cuvis_ai.v1.CuvisAIService", "session", who_am_i)]
    server = Server(settings, handlers, (), HealthBoard(("session",)))
    await server.start()
    yield str(server.address)
    await server.drain()


async def _ends(target: str, size: int, *more: tuple[str, str]) -> tuple[Counter[str], Any]:
    ends: Counter[str] = Counter()
    last = None
    async with grpc.aio.insecure_channel(target, options=[("grpc.enable_retries", 0)]) as channel:
        method = channel.unary_unary(METHOD, response_deserializer=pb.CreateSessionResponse.FromString)
        for _ in range(CALLS):
            try:
                await method(b"", timeout=30, metadata=(("authorization", "x" * size), *more))
                ends["OK"] += 1
            except grpc.aio.AioRpcError as error:
                last = error
                ends[error.code().name] += 1
    return ends, last


@pytest.mark.parametrize("size", [8_000, 10_455, 15_500, MAX_METADATA_BYTES - 100])
async def test_below_the_limit_no_call_is_refused(target: str, size: int) -> None:
    assert (await _ends(target, size))[0] == {"OK": CALLS}


@pytest.mark.parametrize("size", [MAX_METADATA_BYTES + 1, MAX_METADATA_BYTES + 3000, 2 * MAX_METADATA_BYTES])
async def test_above_the_limit_every_call_is_refused_in_words(target: str, size: int) -> None:
    ends, last = await _ends(target, size)
    assert ends == {"RESOURCE_EXHAUSTED": CALLS}
    error = call_error(last)
    assert isinstance(error, ExhaustedError)
    assert "SWATH_MAX_METADATA_BYTES" in error.message


async def test_what_a_gateway_adds_is_not_the_clients(target: str) -> None:
    added = (("x-forwarded-client-cert", "y" * 1000), ("x-request-id", "z" * 36))
    assert (await _ends(target, MAX_METADATA_BYTES - 100, *added))[0] == {"OK": CALLS}
