"""One trace a call, from the client through every service that is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from swath.errors import NotFound
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import Methods
from swath.rpc.server.reactor import make_server
from swath.rpc.tracing import INTERCEPTORS, CallTraces, call_facts, part_of, span, trace_of, traceparent

_BYTES = {"request_deserializer": bytes, "response_serializer": bytes}
_CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Has spans recorded, and keeps them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", lambda name: provider.get_tracer(name))
    return exporter


@pytest.fixture
async def chain() -> AsyncIterator[grpc.aio.Channel]:
    """Two services: the first asks the second, which answers with its context; "Log" with the id in its log lines,
    "Refuse" and "Fail" with an error."""
    servers: list[grpc.aio.Server] = []
    channels: list[grpc.aio.Channel] = []

    async def serve(**methods: Any) -> grpc.aio.Channel:
        server = make_server()
        handlers = {name: grpc.unary_unary_rpc_method_handler(each, **_BYTES) for name, each in methods.items()}
        server.add_generic_rpc_handlers((Calls((Methods("s.S", handlers),), traces=CallTraces()),))
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
        return call_facts()["trace"].encode()

    async def refuse(request: bytes, context: Any) -> bytes:
        raise NotFound("nothing")

    async def fail(request: bytes, context: Any) -> bytes:
        raise ZeroDivisionError

    async def spans(request: bytes, context: Any) -> bytes:
        return repr(trace.get_current_span() is not trace.INVALID_SPAN).encode()

    async def metadata(request: bytes, context: Any) -> bytes:
        return repr(
            sorted(tuple(each) for each in context.invocation_metadata() if each[0].startswith("trace"))
        ).encode()

    third = await serve(Metadata=metadata)

    async def forward(request: bytes, context: Any) -> bytes:
        return await third.unary_unary("/s.S/Metadata")(request)

    yield await serve(Ask=ask, Log=log, Refuse=refuse, Fail=fail, Spans=spans, Forward=forward)
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


@pytest.mark.parametrize(
    ("parent", "known"),
    [
        (_CLIENT, True),
        (_CLIENT.replace("00-", "01-", 1) + "-later", True),
        (_CLIENT.upper(), False),
        (_CLIENT + "-more", False),
        (_CLIENT.replace("00-", "ff-", 1), False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", False),
        ("", False),
    ],
)
async def test_a_client_has_a_trace_where_the_standard_says_so(
    chain: grpc.aio.Channel, parent: str, known: bool
) -> None:
    trace_id = await chain.unary_unary("/s.S/Log")(b"", metadata=(("traceparent", parent),))
    assert len(trace_id) == 32
    assert (trace_id == b"0af7651916cd43dd8448eb211c80319c") == known
    assert trace_id != b"0" * 32


async def test_the_clients_state_goes_where_its_trace_goes(chain: grpc.aio.Channel) -> None:
    given = (("traceparent", _CLIENT), ("tracestate", "vendor=x"))
    assert await chain.unary_unary("/s.S/Forward")(b"", metadata=given) == repr(list(given)).encode()


async def test_no_span_is_made_where_nothing_is_recorded(chain: grpc.aio.Channel) -> None:
    assert await chain.unary_unary("/s.S/Spans")(b"") == b"False"


async def test_a_span_is_made_where_it_is_recorded(recorded: InMemorySpanExporter, chain: grpc.aio.Channel) -> None:
    assert await chain.unary_unary("/s.S/Spans")(b"") == b"True"
    assert [span.name for span in recorded.get_finished_spans()] == ["s.S/Spans"]


async def test_a_trace_that_makes_no_sense_is_replaced(chain: grpc.aio.Channel) -> None:
    answer = await chain.unary_unary("/s.S/Log")(b"", metadata=(("traceparent", "00-zz-zz-01"),))
    assert len(answer) == 32
    assert answer != b"0" * 32


def test_a_block_is_part_of_what_another_process_began() -> None:
    with span("train", parent=_CLIENT, run="r"):
        assert traceparent().split("-")[1] == _CLIENT.split("-")[1]


def test_what_goes_on_after_a_call_is_part_of_it_in_spans_and_log_lines() -> None:
    with part_of(_CLIENT, session="s"):
        assert traceparent() == _CLIENT
        assert call_facts() == {"trace": trace_of(_CLIENT), "session": "s"}
    assert traceparent() == ""
    assert call_facts() == {}


@pytest.mark.parametrize("parent", ["", "00-zz-zz-01"])
def test_what_belongs_to_no_known_call_has_no_trace(parent: str) -> None:
    with span("call", parent=_CLIENT), part_of(parent, session="s"):
        assert traceparent() == ""
        assert call_facts() == {"session": "s"}


async def test_services_of_one_call_are_one_tree(recorded: InMemorySpanExporter, chain: grpc.aio.Channel) -> None:
    await chain.unary_unary("/s.S/Ask")(b"", metadata=(("traceparent", _CLIENT),))
    second, first = recorded.get_finished_spans()
    assert second.parent is not None
    assert first.parent is not None
    assert first.context is not None
    assert (second.parent.span_id, first.parent.span_id) == (first.context.span_id, int(_CLIENT.split("-")[2], 16))
    assert dict(second.attributes or {}) == {
        "rpc.system": "grpc",
        "rpc.service": "s.S",
        "rpc.method": "Ask",
        "rpc.grpc.status_code": 0,
    }


@pytest.mark.parametrize(
    ("method", "code", "failed"),
    [("Refuse", grpc.StatusCode.NOT_FOUND, False), ("Fail", grpc.StatusCode.INTERNAL, True)],
)
async def test_a_span_has_failed_where_who_answers_has(
    recorded: InMemorySpanExporter, chain: grpc.aio.Channel, method: str, code: grpc.StatusCode, failed: bool
) -> None:
    with pytest.raises(grpc.RpcError):
        await chain.unary_unary(f"/s.S/{method}")(b"")
    for _ in range(100):  # the span ends a little after the client has its status
        if recorded.get_finished_spans():
            break
        await asyncio.sleep(0.01)
    (span,) = recorded.get_finished_spans()
    assert (span.attributes or {})["rpc.grpc.status_code"] == code.value[0]
    assert (span.status.status_code is StatusCode.ERROR) == failed
