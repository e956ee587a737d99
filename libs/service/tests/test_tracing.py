"""One trace a call, from the client through every service that is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog

from swath.service.tracing import INTERCEPTORS, TracingInterceptor, span, traceparent

_BYTES = {"request_deserializer": bytes, "response_serializer": bytes}
_CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def chain() -> AsyncIterator[grpc.aio.Channel]:
    """Two services: the first asks the second, which answers with its context; "Log" with the id in its log lines."""
    servers: list[grpc.aio.Server] = []
    channels: list[grpc.aio.Channel] = []

    async def serve(**methods: Any) -> grpc.aio.Channel:
        server = grpc.aio.server(interceptors=(TracingInterceptor(),))
        handlers = {name: grpc.unary_unary_rpc_method_handler(each, **_BYTES) for name, each in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s.S", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=INTERCEPTORS))
        return channels[-1]

    async def own(request: bytes, context: Any) -> bytes:
        return traceparent().encode()

    second = await serve(Ask=own)

    async def ask(request: bytes, context: Any) -> bytes:
        return await second.unary_unary("/s.S/Ask")(request)

    async def log(request: bytes, context: Any) -> bytes:
        return structlog.contextvars.get_contextvars()["trace"].encode()

    yield await serve(Ask=ask, Log=log)
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.stop(0)


async def test_the_clients_trace_reaches_the_last_service(chain: grpc.aio.Channel) -> None:
    answer = await chain.unary_unary("/s.S/Ask")(b"", metadata=(("traceparent", _CLIENT),))
    assert answer.split(b"-")[1] == _CLIENT.encode().split(b"-")[1]


async def test_a_call_without_a_trace_begins_one_that_the_log_carries(chain: grpc.aio.Channel) -> None:
    first, second = [await chain.unary_unary("/s.S/Log")(b"") for _ in range(2)]
    assert len(first) == 32
    assert first != second


async def test_a_trace_that_makes_no_sense_is_replaced(chain: grpc.aio.Channel) -> None:
    answer = await chain.unary_unary("/s.S/Log")(b"", metadata=(("traceparent", "00-zz-zz-01"),))
    assert len(answer) == 32
    assert answer != b"0" * 32


def test_a_block_is_part_of_what_another_process_began() -> None:
    with span("train", parent=_CLIENT, run="r"):
        assert traceparent().split("-")[1] == _CLIENT.split("-")[1]
