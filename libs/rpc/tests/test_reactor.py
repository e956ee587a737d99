"""A reactor does what grpc.aio's server does: each test runs on both. And what only it can do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from swath.rpc.server.reactor import Reactor, TurnLoop, make_server

KINDS = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}

Serve = Callable[..., Awaitable[grpc.aio.Channel]]


@pytest.fixture(params=["reactor", "grpc.aio"])
async def serve(request: pytest.FixtureRequest) -> AsyncIterator[Serve]:
    """Serve methods, each as (kind, function), and return a channel."""
    servers: list[grpc.aio.Server] = []
    channels: list[grpc.aio.Channel] = []

    async def start(options: tuple[tuple[str, Any], ...] = (), **methods: tuple[str, Any]) -> grpc.aio.Channel:
        server = make_server(options) if request.param == "reactor" else grpc.aio.server(options=options)
        handlers = {name: KINDS[kind](function) for name, (kind, function) in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s.S", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return channels[-1]

    yield start
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.stop(0)


async def _echo(request: bytes, context: Any) -> bytes:
    return request


async def _mirror(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for each in requests:
        yield each


async def _several(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


async def test_calls_of_all_four_kinds_are_answered(serve: Serve):
    async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    async def join(requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([each async for each in requests])

    channel = await serve(
        Echo=("unary_unary", _echo),
        Count=("unary_stream", count),
        Join=("stream_unary", join),
        Mirror=("stream_stream", _mirror),
    )
    assert await channel.unary_unary("/s.S/Echo")(b"a") == b"a"
    assert [each async for each in channel.unary_stream("/s.S/Count")(b"3")] == [b"0", b"1", b"2"]
    assert await channel.stream_unary("/s.S/Join")(_several(b"a", b"b")) == b"ab"
    assert [each async for each in channel.stream_stream("/s.S/Mirror")(_several(b"a", b"b"))] == [b"a", b"b"]
    assert [each async for each in channel.stream_stream("/s.S/Mirror")(_several())] == []


async def test_a_stream_is_answered_before_its_client_has_sent_anything(serve: Serve):
    async def greet(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        yield b"hello"
        async for each in requests:
            yield each

    channel = await serve(Greet=("stream_stream", greet))
    call = channel.stream_stream("/s.S/Greet")()
    assert await call.read() == b"hello"
    await call.write(b"you")
    assert await call.read() == b"you"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF  # type: ignore[attr-defined]


async def test_metadata_arrive_with_duplicates_in_order_and_as_bytes(serve: Serve):
    async def tell(request: bytes, context: Any) -> bytes:
        # Those with one key stay in their order; gRPC does not keep that of keys.
        sent = sorted((pair for pair in context.invocation_metadata() if pair[0].startswith("x-")), key=lambda p: p[0])
        await context.send_initial_metadata((("x-first", "1"), ("x-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-last", "2"), ("x-last", "3")))
        return repr([tuple(pair) for pair in sent]).encode()

    channel = await serve(Tell=("unary_unary", tell))
    call = channel.unary_unary("/s.S/Tell")(b"", metadata=(("x-a", "1"), ("x-b-bin", b"\1\xfe"), ("x-a", "2")))
    assert await call == repr([("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\1\xfe")]).encode()
    assert ("x-bin", b"\0\xff") in tuple(await call.initial_metadata())
    assert [value for key, value in await call.trailing_metadata() if key == "x-last"] == ["2", "3"]


async def test_a_handler_says_with_which_status_it_ends(serve: Serve):
    async def refuse(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("é %\n")
        return b"not seen"

    async def abort(request: bytes, context: Any) -> None:
        context.set_trailing_metadata((("x-why", "before"),))
        await context.abort(grpc.StatusCode.NOT_FOUND, "nothing")

    async def abort_late(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"1"
        await context.abort(grpc.StatusCode.ABORTED, "after one", (("x-why", "with it"),))

    async def fail(request: bytes, context: Any) -> bytes:
        raise ZeroDivisionError("zero")

    channel = await serve(
        Refuse=("unary_unary", refuse),
        Abort=("unary_unary", abort),
        AbortLate=("unary_stream", abort_late),
        Fail=("unary_unary", fail),
    )

    async def error_of(call: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as info:
            await call
        return info.value

    refused = await error_of(channel.unary_unary("/s.S/Refuse")(b""))
    assert (refused.code(), refused.details()) == (grpc.StatusCode.DATA_LOSS, "é %\n")
    aborted = await error_of(channel.unary_unary("/s.S/Abort")(b""))
    assert (aborted.code(), aborted.details()) == (grpc.StatusCode.NOT_FOUND, "nothing")
    assert ("x-why", "before") in tuple(aborted.trailing_metadata())
    call = channel.unary_stream("/s.S/AbortLate")(b"")
    assert await call.read() == b"1"
    late = await error_of(call.read())
    assert (late.code(), late.details()) == (grpc.StatusCode.ABORTED, "after one")
    assert ("x-why", "with it") in tuple(late.trailing_metadata())
    failed = await error_of(channel.unary_unary("/s.S/Fail")(b""))
    assert failed.code() is grpc.StatusCode.UNKNOWN
    assert "zero" in (failed.details() or "")
    unknown = await error_of(channel.unary_unary("/s.S/Nothing")(b""))
    assert (unknown.code(), unknown.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


async def test_a_deadline_is_known_and_ends_the_handler(serve: Serve):
    ended: asyncio.Queue[float] = asyncio.Queue()

    async def hang(request: bytes, context: Any) -> bytes:
        remaining = context.time_remaining()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.put_nowait(remaining)
            raise
        return b""

    async def tell(request: bytes, context: Any) -> bytes:
        return repr(context.time_remaining()).encode()

    channel = await serve(Hang=("unary_unary", hang), Tell=("unary_unary", tell))
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await channel.unary_unary("/s.S/Hang")(b"", timeout=0.5)
    assert info.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < await asyncio.wait_for(ended.get(), 30) <= 0.51
    assert await channel.unary_unary("/s.S/Tell")(b"") == b"None"


async def test_a_client_that_leaves_ends_the_handler_wherever_it_is(serve: Serve):
    ended: asyncio.Queue[str] = asyncio.Queue()

    def watched(name: str, function: Callable[..., Any]) -> Any:
        async def stream(requests: Any, context: Any) -> AsyncIterator[bytes]:
            context.add_done_callback(lambda call: ended.put_nowait(f"{name} done"))
            try:
                async for each in function(requests):
                    yield each
            except (asyncio.CancelledError, GeneratorExit):
                ended.put_nowait(f"{name} ended")
                raise

        return stream

    async def writes(requests: Any) -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async def reads(requests: Any) -> AsyncIterator[bytes]:
        yield b"begun"
        async for _ in requests:
            pass
        # A client that leaves ends its requests; what the handler does next it is told at its next wait.
        await asyncio.sleep(60)

    channel = await serve(
        Write=("stream_stream", watched("Write", writes)), Read=("stream_stream", watched("Read", reads))
    )
    for name in ("Write", "Read"):
        call = channel.stream_stream(f"/s.S/{name}")()
        await call.read()
        call.cancel()
        told = {await asyncio.wait_for(ended.get(), 30), await asyncio.wait_for(ended.get(), 30)}
        assert told == {f"{name} ended", f"{name} done"}


async def test_a_client_that_reads_nothing_holds_the_writer_back(serve: Serve):
    written = 0

    async def flood(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal written
        for _ in range(100):
            yield bytes(1 << 20)
            written += 1

    channel = await serve(Flood=("unary_stream", flood))
    call: Any = channel.unary_stream("/s.S/Flood")(b"")
    assert len(await call.read()) == 1 << 20
    await asyncio.sleep(1.0)
    assert written < 30  # windows of HTTP/2 and buffers hold some
    assert [len(await call.read()) for _ in range(99)] == [1 << 20] * 99
    assert await call.read() is grpc.aio.EOF  # type: ignore[attr-defined]
    assert written == 100


async def test_a_message_above_the_limit_is_refused_and_the_server_goes_on(serve: Serve):
    channel = await serve((("grpc.max_receive_message_length", 1000),), Echo=("unary_unary", _echo))
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await channel.unary_unary("/s.S/Echo")(bytes(1001))
    assert info.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await channel.unary_unary("/s.S/Echo")(bytes(1000)) == bytes(1000)


async def test_a_thousand_calls_at_once_are_each_answered_with_their_own(serve: Serve):
    async def after_a_while(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.001 * (int(request) % 7))
        return request

    channel = await serve(Echo=("unary_unary", _echo), Later=("unary_unary", after_a_while))
    for name in ("Echo", "Later"):
        ask = channel.unary_unary(f"/s.S/{name}")
        asked = [str(number).encode() for number in range(1000)]
        assert await asyncio.gather(*[ask(each) for each in asked]) == asked


async def _started(**methods: Any) -> tuple[Reactor, int]:
    server = Reactor()
    handlers = {name: grpc.unary_unary_rpc_method_handler(each) for name, each in methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s.S", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


@pytest.mark.parametrize("pair", [("Upper Case", "1"), ("x-text", "\n"), ("x-bin", "text"), ("x-text", b"\xff")])
async def test_metadata_that_cannot_be_sent_end_the_call_in_words(pair: Any):
    async def wrong(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((pair,))
        return b""

    async def no_bytes(request: bytes, context: Any) -> Any:
        return "text"

    server, port = await _started(Wrong=wrong, NoBytes=no_bytes)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for name, text in (("Wrong", pair[0]), ("NoBytes", "cannot be sent")):
            with pytest.raises(grpc.aio.AioRpcError) as info:
                await channel.unary_unary(f"/s.S/{name}")(b"", timeout=30)
            assert info.value.code() is grpc.StatusCode.UNKNOWN
            assert text in (info.value.details() or "")
    await server.stop(0)


async def test_what_a_call_was_made_of_goes_with_it():
    held: list[weakref.ref[Any]] = []

    async def keep(request: bytes, context: Any) -> bytes:
        held.append(weakref.ref(context))
        if request == b"abort":
            await context.abort(grpc.StatusCode.ABORTED, "no")
        if request == b"wait":
            await asyncio.sleep(0)
        return b""

    server, port = await _started(Keep=keep)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        gc.collect()
        gc.disable()
        try:
            for request in (b"", b"wait", b"abort"):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await channel.unary_unary("/s.S/Keep")(request)
            for _ in range(1000):
                if not any(each() for each in held):
                    break
                await asyncio.sleep(0.01)
            assert [each() for each in held] == [None] * 3
        finally:
            gc.enable()
    await server.stop(0)


async def test_calls_that_run_when_a_server_stops_get_the_grace_and_no_more():
    begun = asyncio.Event()

    async def wait(request: bytes, context: Any) -> bytes:
        begun.set()
        await asyncio.sleep(float(request))
        return b"done"

    for seconds, answered in ((b"0.2", True), (b"60", False)):
        begun.clear()
        server, port = await _started(Wait=wait)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = asyncio.ensure_future(channel.unary_unary("/s.S/Wait")(seconds))
            await begun.wait()
            await server.stop(10 if answered else 0.05)
            result = (await asyncio.gather(call, return_exceptions=True))[0]
        assert (result == b"done") is answered
        assert answered or isinstance(result, grpc.aio.AioRpcError)


async def test_servers_of_a_loop_share_one_thread_which_ends_with_the_last():
    def threads() -> int:
        return sum(thread.name == "grpc" for thread in threading.enumerate())

    async def tell(request: bytes, context: Any) -> bytes:
        return str(threading.get_ident()).encode()

    before = threads()
    servers = [await _started(Tell=tell) for _ in range(2)]
    assert threads() == before + 1
    answering = set()
    for _, port in servers:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            answering.add(await channel.unary_unary("/s.S/Tell")(b""))
    assert len(answering) == 1
    await servers[0][0].stop(None)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{servers[1][1]}") as channel:
        assert await channel.unary_unary("/s.S/Tell")(b"") in answering
    await servers[1][0].stop(None)
    assert threads() == before


async def test_a_call_that_waits_for_nothing_wakes_no_other_thread(monkeypatch: pytest.MonkeyPatch):
    server, port = await _started(Echo=_echo)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnLoop)
    woken = 0
    write = loop._write_to_self

    def count() -> None:
        nonlocal woken
        woken += 1
        write()

    monkeypatch.setattr(loop, "_write_to_self", count)

    def ask() -> int:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/s.S/Echo")
            echo(b"")
            before = woken
            for _ in range(50):
                assert echo(b"x") == b"x"
            return woken - before

    assert await asyncio.to_thread(ask) == 0
    await server.stop(0)


async def test_timers_that_calls_set_go_off_though_the_loop_sleeps():
    async def nap(request: bytes, context: Any) -> bytes:
        started = time.monotonic()
        await asyncio.sleep(0.05)
        return str(time.monotonic() - started).encode()

    server, port = await _started(Nap=nap)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert 0.05 <= float(await channel.unary_unary("/s.S/Nap")(b"", timeout=30)) < 20
    await server.stop(0)


def test_what_belongs_to_the_loop_is_touched_by_one_thread_at_a_time():
    inside = 0
    seen: set[int] = set()

    def touch() -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        seen.add(threading.get_ident())
        time.sleep(0.0002)  # lets other threads run Python
        inside -= 1

    async def touching(request: bytes, context: Any) -> bytes:
        touch()
        await asyncio.sleep(0)
        touch()
        return b""

    async def main() -> None:
        server, port = await _started(Touch=touching)

        def ask() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                for _ in range(200):
                    channel.unary_unary("/s.S/Touch")(b"")

        clients = asyncio.gather(*[asyncio.to_thread(ask) for _ in range(3)])
        while not clients.done():
            touch()
            await asyncio.sleep(0.001)
        await clients
        await server.stop(0)

    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        runner.run(main())
    assert len(seen) == 2  # the loop's own thread, and gRPC's


def test_an_exit_of_a_callback_ends_the_loop_whoever_ran_it():
    async def leave(request: bytes, context: Any) -> bytes:
        asyncio.get_running_loop().call_soon(_exit)
        return b""

    async def main() -> None:
        server, port = await _started(Leave=leave)

        def ask() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                channel.unary_unary("/s.S/Leave")(b"")

        asyncio.get_running_loop().run_in_executor(None, ask)
        try:
            await asyncio.sleep(60)
        finally:
            await server.stop(0)

    with pytest.raises(SystemExit, match="7"), asyncio.Runner(loop_factory=TurnLoop) as runner:
        runner.run(main())


def _exit() -> None:
    raise SystemExit(7)
