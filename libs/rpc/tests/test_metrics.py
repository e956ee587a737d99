"""Calls are counted however they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from swath.errors import InvalidInput
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import FallbackHandler, Methods
from swath.rpc.server.metrics import Metrics
from swath.rpc.server.reactor import make_server

_BYTES = {"request_deserializer": bytes, "response_serializer": bytes}


async def _echo(request: bytes, context: Any) -> bytes:
    return request


async def _refuse(request: bytes, context: Any) -> bytes:
    raise InvalidInput("no")


async def _break(request: bytes, context: Any) -> bytes:
    raise RuntimeError("boom")


async def _hang(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(60)
    return request


async def _count(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for _ in range(int(request)):
        yield b"x"


async def _collect(requests: AsyncIterator[bytes], context: Any) -> bytes:
    return b"".join([request async for request in requests])


async def _mirror(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


@pytest.fixture
async def served() -> AsyncIterator[tuple[grpc.aio.Channel, Metrics]]:
    metrics = Metrics()
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(each, **_BYTES)
        for name, each in (("Echo", _echo), ("Refuse", _refuse), ("Break", _break), ("Hang", _hang))
    } | {
        "Count": grpc.unary_stream_rpc_method_handler(_count, **_BYTES),
        "Collect": grpc.stream_unary_rpc_method_handler(_collect, **_BYTES),
        "Mirror": grpc.stream_stream_rpc_method_handler(_mirror, **_BYTES),
    }
    calls = Calls((Methods("s.S", handlers),), fallback=FallbackHandler(), metrics=metrics.calls)
    server = make_server()
    server.add_generic_rpc_handlers((calls,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, metrics
    await server.stop(0)


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def _reached(metrics: Metrics, name: str, count: float, **labels: str) -> float:
    """Wait for a number, which may be counted after the client has its answer; return what it is in the end."""
    for _ in range(3000):
        if (value := _value(metrics, name, **labels)) >= count:
            return value
        await asyncio.sleep(0.01)
    return _value(metrics, name, **labels)


async def _handled(metrics: Metrics, kind: str, method: str, code: str) -> float:
    labels = {"grpc_type": kind, "grpc_service": "s.S", "grpc_method": method, "grpc_code": code}
    for _ in range(3000):  # the server counts a call that was cancelled a little after the client has left
        if value := _value(metrics, "grpc_server_handled_total", **labels):
            return value
        await asyncio.sleep(0.01)
    return 0.0


@pytest.mark.parametrize(
    ("method", "code"),
    [("Echo", "OK"), ("Refuse", "InvalidArgument"), ("Break", "Internal"), ("Hang", "DeadlineExceeded")],
)
async def test_a_unary_call(served: tuple[grpc.aio.Channel, Metrics], method: str, code: str) -> None:
    channel, metrics = served
    try:
        await channel.unary_unary(f"/s.S/{method}")(b"hello", timeout=3.0 if method == "Hang" else 30.0)
    except grpc.aio.AioRpcError:
        assert code != "OK"
    assert await _handled(metrics, "unary", method, code) == 1
    labels = {"grpc_type": "unary", "grpc_service": "s.S", "grpc_method": method}
    assert _value(metrics, "grpc_server_started_total", **labels) == 1
    assert _value(metrics, "grpc_server_msg_received_total", **labels) == 1
    assert _value(metrics, "grpc_server_msg_sent_total", **labels) == (code == "OK")
    assert _value(metrics, "grpc_server_handling_seconds_count", **labels) == 1


async def test_a_call_that_its_client_cancels(served: tuple[grpc.aio.Channel, Metrics]) -> None:
    channel, metrics = served
    call = channel.unary_unary("/s.S/Hang")(b"")
    labels = {"grpc_type": "unary", "grpc_service": "s.S", "grpc_method": "Hang"}
    await _reached(metrics, "grpc_server_started_total", 1, **labels)
    call.cancel()
    assert await _handled(metrics, "unary", "Hang", "Canceled") == 1


async def test_streams_in_each_direction(served: tuple[grpc.aio.Channel, Metrics]) -> None:
    channel, metrics = served
    assert len([each async for each in channel.unary_stream("/s.S/Count")(b"3")]) == 3
    assert await channel.stream_unary("/s.S/Collect")(iter([b"a", b"b"])) == b"ab"
    assert [each async for each in channel.stream_stream("/s.S/Mirror")(iter([b"a", b"b"]))] == [b"a", b"b"]
    for kind, method, received, sent in (
        ("server_stream", "Count", 1, 3),
        ("client_stream", "Collect", 2, 1),
        ("bidi_stream", "Mirror", 2, 2),
    ):
        labels = {"grpc_type": kind, "grpc_service": "s.S", "grpc_method": method}
        assert await _handled(metrics, kind, method, "OK") == 1
        assert _value(metrics, "grpc_server_msg_received_total", **labels) == received
        assert _value(metrics, "grpc_server_msg_sent_total", **labels) == sent


async def test_a_stream_that_is_read_by_half(served: tuple[grpc.aio.Channel, Metrics]) -> None:
    channel, metrics = served
    call = channel.unary_stream("/s.S/Count")(b"100000")
    await call.read()
    call.cancel()
    assert await _handled(metrics, "server_stream", "Count", "Canceled") == 1


async def test_methods_that_there_are_not_share_one_name(served: tuple[grpc.aio.Channel, Metrics]) -> None:
    channel, metrics = served
    for name in ("A", "B"):
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(f"/made.Up/{name}")(b"")
    labels = {"grpc_service": "unknown", "grpc_method": "unknown", "grpc_code": "Unimplemented"}
    assert await _reached(metrics, "grpc_server_handled_total", 2, grpc_type="bidi_stream", **labels) == 2


def test_methods_are_counted_from_zero() -> None:
    metrics = Metrics()
    Calls((Methods("s.S", {"Echo": grpc.unary_unary_rpc_method_handler(_echo)}),), metrics=metrics.calls)
    labels = {"grpc_type": "unary", "grpc_service": "s.S", "grpc_method": "Echo"}
    assert metrics.registry.get_sample_value("grpc_server_started_total", labels) == 0
    assert metrics.registry.get_sample_value("grpc_server_handling_seconds_count", labels) == 0


def test_figures_of_services_are_read_at_each_scrape() -> None:
    metrics, waiting = Metrics(), {"cpu": 2.0}
    metrics.gauge("swath_queue_length", "Runs that wait.", lambda: waiting, label="device")
    metrics.counter("swath_events", "Events.", lambda: 7)
    waiting["cuda:0"] = 1.0
    assert _value(metrics, "swath_queue_length", device="cuda:0") == 1
    assert _value(metrics, "swath_events_total") == 7


def test_a_histogram_is_read_at_each_scrape() -> None:
    metrics, found = Metrics(), ([3, 0, 1], 47.5)
    metrics.histogram("swath_test_size", "Sizes.", (1, 8), lambda: found)
    read = metrics.registry.get_sample_value

    def sizes() -> list[float | None]:
        # By bound, each with those below it.
        buckets = [read("swath_test_size_bucket", {"le": bound}) for bound in ("1.0", "8.0", "+Inf")]
        return [*buckets, read("swath_test_size_count"), read("swath_test_size_sum")]

    assert sizes() == [3, 3, 4, 4, 47.5]
    found = ([3, 2, 1], 57.5)
    assert sizes() == [3, 5, 6, 6, 57.5]
