"""How calls end: statuses, details, trailers, time limits, cancellation."""

import asyncio

import grpc
import pytest

from .conftest import until

CODE = grpc.StatusCode


class App:
    """Ends calls in the way that a request asks for."""

    def __init__(self, probe) -> None:
        self.answer = probe.pb.Answer
        self.cut = []

    async def Unary(self, request, grpc_context):
        if request.what == "raise":
            raise KeyError("what went wrong")
        if request.what == "set":
            grpc_context.set_code(CODE.DATA_LOSS)
            grpc_context.set_details("gone: é, 100 %\nend")
            grpc_context.set_trailing_metadata([("request_id", "own"), ("n-bin", b"\0\1")])
        if request.what == "set ok":
            grpc_context.set_details("foo found.")
            grpc_context.set_trailing_metadata([("num", "0")])
        if request.what == "set and raise":
            grpc_context.set_code(CODE.ABORTED)
            raise ValueError("why")
        if request.what == "ok and raise":
            grpc_context.set_code(CODE.OK)
            raise ValueError("why")
        if request.what == "abort":
            grpc_context.abort(CODE.FAILED_PRECONDITION, "not now", [("a", "1")])
        if request.what == "long":
            grpc_context.set_code(CODE.ABORTED)
            grpc_context.set_details("x" * 100_000)
        if request.what == "gzip":
            grpc_context.set_compression(grpc.Compression.Gzip)
        if request.what == "wait":
            await self._wait("unary")
        return self.answer(number=request.number, data=bytes(request.number))

    async def Server(self, request, grpc_context):
        for number in range(request.number):
            yield self.answer(number=number, data=request.data)
        if request.what == "raise":
            raise KeyError("what went wrong")
        if request.what == "late":
            await asyncio.sleep(0.05)
            grpc_context.set_code(CODE.DATA_LOSS)
            grpc_context.set_trailing_metadata([("late", "1")])
        if request.what == "wait":
            await self._wait("server")

    async def Client(self, stream):
        total = 0
        async for each in stream:
            if each.what == "early":
                break
            total += each.number
        return self.answer(number=total)

    async def Bidi(self, stream):
        try:
            async for each in stream:
                yield self.answer(number=each.number)
        except asyncio.CancelledError:
            self.cut.append(("bidi", stream.is_cancelled(), stream.is_exhausted))
            raise

    async def _wait(self, kind):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cut.append(kind)
            raise


@pytest.fixture
async def app(served, probe):
    async def start(**options):
        server = await served(**options)
        server.app = App(probe)
        server.applications.deploy("app", server.app)
        return server

    return start


CASES = [
    ("raise", CODE.INTERNAL, "KeyError: 'what went wrong'", ()),
    ("set", CODE.DATA_LOSS, "gone: é, 100 %\nend", (("request_id", "own"), ("n-bin", b"\0\1"))),
    ("set and raise", CODE.ABORTED, "ValueError: why", ()),
    ("ok and raise", CODE.INTERNAL, "ValueError: why", ()),
    ("abort", CODE.FAILED_PRECONDITION, "not now", (("a", "1"),)),
]


async def test_a_handler_says_how_its_call_ends(app, ended):
    server = await app()
    for what, code, details, trailers in CASES:
        end = await ended(server.stub.Unary(server.ask(what=what), metadata=(("request_id", "1"),)))
        assert (end.code, end.details) == (code, details)
        assert end.trailers == (("request_id", "1"), *trailers)


async def test_ok_has_details_and_trailers_too(app, ended):
    server = await app()
    call = server.stub.Unary(server.ask(what="set ok", number=2), metadata=(("request_id", "1"),))
    end = await ended(call)
    assert (end.code, end.messages[0].number) == (CODE.OK, 2)
    assert end.trailers == (("request_id", "1"), ("num", "0"))


async def test_details_are_cut_to_what_trailers_carry(app, ended):
    server = await app()
    end = await ended(server.stub.Unary(server.ask(what="long")))
    assert end.code is CODE.ABORTED
    assert end.details.endswith("(100000 characters in all)")


async def test_a_stream_ends_as_its_handler_leaves_it(app, ended):
    server = await app()
    late = await ended(server.stub.Server(server.ask(what="late", number=2)))
    assert (late.code, len(late.messages)) == (CODE.DATA_LOSS, 2)
    assert [key for key, _ in late.trailers] == ["request_id", "late"]
    raised = await ended(server.stub.Server(server.ask(what="raise", number=2)))
    assert (raised.code, len(raised.messages), raised.details) == (CODE.INTERNAL, 2, "KeyError: 'what went wrong'")
    empty = await ended(server.stub.Server(server.ask(number=0)))
    assert (empty.code, empty.messages, empty.trailers[0][0]) == (CODE.OK, [], "request_id")
    none_asked = await ended(server.stub.Bidi(iter([])))
    assert (none_asked.code, none_asked.messages, none_asked.trailers[0][0]) == (CODE.OK, [], "request_id")


async def test_all_four_kinds_carry_their_messages(app):
    server = await app()
    asked = [server.ask(number=each) for each in range(20)]
    assert (await server.stub.Client(iter(asked))).number == 190
    assert [each.number async for each in server.stub.Bidi(iter(asked))] == list(range(20))
    assert [each.number async for each in server.stub.Server(server.ask(number=20))] == list(range(20))


async def test_a_handler_may_answer_before_the_end_of_the_stream(app):
    server = await app()
    call = server.stub.Client()
    await call.write(server.ask(number=1))
    await call.write(server.ask(what="early"))
    assert (await call).number == 1


async def test_a_method_that_the_application_lacks(app, ended):
    server = await app()
    end = await ended(server.stub.Missing(server.ask()))
    assert (end.code, end.trailers[0][0]) == (CODE.UNIMPLEMENTED, "request_id")
    assert "Missing" in end.details


async def test_a_method_that_no_service_has(app, ended):
    server = await app()
    end = await ended(server.channel.unary_unary("/wire.probe.Probe/Nothing")(b""))
    assert (end.code, end.trailers[0][0]) == (CODE.UNIMPLEMENTED, "request_id")
    assert end.details.startswith("Method not found!")


@pytest.mark.parametrize("path", ["Unary", "Server"])
async def test_bytes_that_are_no_message(app, path, ended):
    server = await app()
    make = server.channel.unary_unary if path == "Unary" else server.channel.unary_stream
    end = await ended(make(f"/wire.probe.Probe/{path}")(b"\xff\xff\xff"))
    assert (end.code, end.trailers[0][0]) == (CODE.INVALID_ARGUMENT, "request_id")


async def test_a_full_queue_says_when_to_come_again(app, ended):
    server = await app()
    server.applications.busy.add("app")
    end = await ended(server.stub.Unary(server.ask(), metadata=(("request_id", "1"),)))
    assert end.code is CODE.RESOURCE_EXHAUSTED
    assert end.details == "Request dropped due to backpressure (num_queued_requests=1, max_queued_requests=1)."
    # gRPC puts its own keys first.
    assert end.trailers[:2] == (("grpc-retry-pushback-ms", "250"), ("request_id", "1"))


@pytest.mark.parametrize("kind", ["Unary", "Server", "Bidi", "queue"])
async def test_the_servers_time_limit_holds_from_end_to_end(app, kind, ended):
    server = await app(request_timeout_s=0.2)
    if kind == "queue":
        server.applications.stuck.add("app")
    ask = server.ask(what="wait", number=2)
    metadata = (("request_id", "1"),)
    if kind == "Bidi":
        call = server.stub.Bidi(metadata=metadata)
        await call.write(ask)
        assert (await call.read()).number == 2
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
            await call
        assert (error.value.code(), error.value.details()) == (CODE.DEADLINE_EXCEEDED, "Request timed out after 0.2s.")
        await until(lambda: server.app.cut)
        return
    end = await ended(getattr(server.stub, "Unary" if kind == "queue" else kind)(ask, metadata=metadata))
    assert (end.code, end.details) == (CODE.DEADLINE_EXCEEDED, "Request timed out after 0.2s.")
    assert len(end.messages) == (2 if kind == "Server" else 0)
    assert end.trailers[0] == ("request_id", "1")
    if kind != "queue":
        await until(lambda: server.app.cut)


async def test_a_clients_deadline_reaches_the_handler(app, ended):
    server = await app()
    end = await ended(server.stub.Unary(server.ask(what="wait"), timeout=0.2))
    assert end.code is CODE.DEADLINE_EXCEEDED
    await until(lambda: server.app.cut == ["unary"])


@pytest.mark.parametrize("kind", ["unary", "server", "bidi"])
async def test_a_client_that_leaves_stops_the_handler(app, kind):
    server = await app()
    ask = server.ask(what="wait", number=1)
    if kind == "bidi":
        call = server.stub.Bidi()
        await call.write(ask)
        await call.read()
    else:
        call = getattr(server.stub, kind.capitalize())(ask)
        await until(lambda: server.applications.exchanges)
    call.cancel()
    await until(lambda: server.app.cut)
    assert server.app.cut == ([("bidi", True, False)] if kind == "bidi" else [kind])


async def test_a_client_that_does_not_read_stops_the_generator(app):
    server = await app()
    call = server.stub.Server(server.ask(number=300, data=bytes(1_000_000)))
    assert (await call.read()).number == 0
    (exchange,) = server.applications.exchanges
    seen = -1
    while seen != exchange.made:
        seen = exchange.made
        await asyncio.sleep(0.2)
    assert seen < 20
    call.cancel()


async def test_answers_are_compressed_where_the_handler_says_so(app):
    server = await app()
    for what, encoding in (("gzip", "gzip"), ("", "identity")):
        call = server.stub.Unary(server.ask(what=what, number=10_000), compression=grpc.Compression.Gzip)
        assert len((await call).data) == 10_000
        assert dict(await call.initial_metadata()).get("grpc-encoding", encoding) == encoding


async def test_messages_above_the_limit_are_refused_with_their_size(app, ended):
    server = await app(max_message_bytes=100_000)
    end = await ended(server.stub.Unary(server.ask(data=bytes(200_000))))
    assert end.code is CODE.RESOURCE_EXHAUSTED
    assert "200" in end.details
