"""What calls leave in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog

from swath.api import CUVIS
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import SessionNotFound
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import slice_handler
from swath.rpc.server.reactor import make_server
from swath.rpc.tracing import call_facts


class _Session:
    async def CreateSession(self, request: pb.CreateSessionRequest, context: Any) -> pb.CreateSessionResponse:
        return pb.CreateSessionResponse(session_id="s")

    async def SetSessionSearchPaths(self, request: Any, context: Any) -> pb.SetSessionSearchPathsResponse:
        await asyncio.sleep(0.3)
        return pb.SetSessionSearchPathsResponse()

    async def CloseSession(self, request: pb.CloseSessionRequest, context: Any) -> pb.CloseSessionResponse:
        raise SessionNotFound("no such session")


class _Config:
    async def ResolveConfig(self, request: pb.ResolveConfigRequest, context: Any) -> pb.ResolveConfigResponse:
        return pb.ResolveConfigResponse(config_bytes=call_facts()["session"].encode())

    GetParameterSchema = ValidateConfig = ResolveConfig


@pytest.fixture
async def stub() -> AsyncIterator[Any]:
    server = make_server()
    handlers = (slice_handler(CUVIS, "session", _Session()), slice_handler(CUVIS, "config", _Config()))
    server.add_generic_rpc_handlers((Calls(handlers, slow_s=0.1),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(name: str, request: Any, answer: Any) -> Any:
            method = channel.unary_unary(
                f"/{CUVIS}/{name}",
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
            return method(request)

        yield call
    await server.stop(0)


async def _written(lines: list[Any], event: str, count: int) -> None:
    """Wait for lines that are written once a call has been answered."""
    async with asyncio.timeout(20):
        while sum(line["event"] == event for line in lines) < count:  # noqa: ASYNC110  logs say so in no other way
            await asyncio.sleep(0.01)


async def test_a_call_that_changes_something_leaves_an_audit_line(stub: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        await stub("CreateSession", pb.CreateSessionRequest(), pb.CreateSessionResponse)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub("CloseSession", pb.CloseSessionRequest(session_id="gone"), pb.CloseSessionResponse)
        await _written(lines, "audit", 2)
    made, closed = [line for line in lines if line["event"] == "audit"]
    assert (made["method"], made["code"]) == (f"/{CUVIS}/CreateSession", "OK")
    assert (closed["session"], closed["code"]) == ("gone", "NOT_FOUND")


async def test_a_call_that_only_reads_leaves_none_and_its_lines_carry_the_session(stub: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await stub("ResolveConfig", pb.ResolveConfigRequest(session_id="abc"), pb.ResolveConfigResponse)
    assert answer.config_bytes == b"abc"
    assert not [line for line in lines if line["event"] == "audit"]


async def test_a_slow_call_says_so_while_it_is_under_way_and_when_it_has_ended(stub: Any) -> None:
    with structlog.testing.capture_logs() as lines:
        request = pb.SetSessionSearchPathsRequest(session_id="abc")
        await stub("SetSessionSearchPaths", request, pb.SetSessionSearchPathsResponse)
        await _written(lines, "slow call", 1)
    meanwhile, ended = [line for line in lines if line["log_level"] == "warning"]
    assert (meanwhile["event"], meanwhile["session"]) == ("call is slow", "abc")
    assert ended["event"] == "slow call"
    assert ended["seconds"] > meanwhile["seconds"]


async def test_each_slow_call_says_so_for_itself(stub: Any) -> None:
    with structlog.testing.capture_logs() as lines:

        async def call(session: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            request = pb.SetSessionSearchPathsRequest(session_id=session)
            await stub("SetSessionSearchPaths", request, pb.SetSessionSearchPathsResponse)

        await asyncio.gather(call("first", 0.0), call("second", 0.05), call("third", 0.25))
        await _written(lines, "slow call", 3)
    warnings = [(line["session"], line["event"]) for line in lines if line["log_level"] == "warning"]
    assert sorted(warnings) == sorted(
        (session, event) for session in ("first", "second", "third") for event in ("call is slow", "slow call")
    )
