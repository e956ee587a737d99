"""Methods that come while a server runs, whose calls end after a time, and streams that their client cuts off."""

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import structlog

from swath.rpc.server.calls import Calls
from swath.rpc.server.handlers import ends_after
from swath.rpc.server.reflection import changing_reflection_handlers


class Later(grpc.GenericRpcHandler):
    """Methods by path, to be changed."""

    def __init__(self) -> None:
        self.methods = {}

    def service(self, handler_call_details):
        return self.methods.get(handler_call_details.method)


@pytest.fixture
async def server():
    later, server = Later(), grpc.aio.server()
    server.add_generic_rpc_handlers((Calls((), later=(later,), log_all=True),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SimpleNamespace(methods=later.methods, channel=channel)
    await server.stop(0)


async def echo(request, context):
    return request


async def shout(request, context):
    return request.upper()


async def test_methods_come_change_and_go(server):
    call = server.channel.unary_unary("/a.B/C")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"x")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    server.methods["/a.B/C"] = grpc.unary_unary_rpc_method_handler(echo)
    assert await call(b"x") == b"x"
    server.methods["/a.B/C"] = grpc.unary_unary_rpc_method_handler(shout)
    assert await call(b"x") == b"X"
    del server.methods["/a.B/C"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"x")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_each_call_leaves_a_line_where_that_is_wanted(server):
    server.methods["/a.B/C"] = grpc.unary_unary_rpc_method_handler(echo)
    with structlog.testing.capture_logs() as lines:
        await server.channel.unary_unary("/a.B/C")(b"x")
    (line,) = lines
    assert (line["event"], line["method"], line["code"]) == ("call", "/a.B/C", "OK")
    assert line["peer"].startswith("ipv4:127.0.0.1")


async def test_a_client_that_leaves_is_no_end_of_its_stream(server):
    seen, ends = asyncio.Event(), []

    async def upload(requests, context):
        try:
            async for _ in requests:
                seen.set()
            ends.append("end")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return b""

    server.methods["/a.B/C"] = grpc.stream_unary_rpc_method_handler(upload)
    for _ in range(50):
        seen.clear()
        call = server.channel.stream_unary("/a.B/C")()
        await call.write(b"x")
        await seen.wait()
        call.cancel()
    whole = server.channel.stream_unary("/a.B/C")(iter([b"1", b"2"]))
    await whole
    assert ends == ["cancelled"] * 50 + ["end"]


@pytest.mark.parametrize("stuck", ["in the handler", "with its client"])
async def test_calls_end_after_their_time(server, stuck):
    closed = asyncio.Event()

    @ends_after(0.2, "too late")
    async def stream(requests, context):
        try:
            yield b"first"
            while stuck == "with its client":
                yield bytes(1 << 20)
            await asyncio.Event().wait()
        finally:
            closed.set()

    server.methods["/a.B/C"] = grpc.stream_stream_rpc_method_handler(stream)
    call = server.channel.stream_stream("/a.B/C")()
    assert await call.read() == b"first"
    await closed.wait()
    with pytest.raises(grpc.aio.AioRpcError) as late:
        while await call.read():
            pass
        await call
    assert (late.value.code(), late.value.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "too late")


async def test_what_a_handler_raises_as_a_timeout_is_its_own(server):
    @ends_after(30.0, "too late")
    async def fail(request, context):
        raise TimeoutError("mine")

    server.methods["/a.B/C"] = grpc.unary_unary_rpc_method_handler(fail)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await server.channel.unary_unary("/a.B/C")(b"")
    assert error.value.code() is grpc.StatusCode.INTERNAL


def test_reflection_reads_the_names_anew_each_time():
    names = ["a.B"]
    alpha = changing_reflection_handlers(lambda: names, lambda: ())[0]
    handler: Any = next(iter(alpha.by_path.values()))
    servicer = handler.stream_stream.__self__
    assert "a.C" not in str(servicer._list_services(None))
    names.append("a.C")
    assert "a.C" in str(servicer._list_services(None))
