"""Calls through a front to handlers in replicas: how they end, and what becomes of those that nobody waits for."""

import asyncio
import re

import grpc
import pytest

from swath import serve

CODE = grpc.StatusCode
APP = (("application", "app"),)
pytestmark = pytest.mark.xdist_group("serve-wire")


@pytest.fixture(scope="module", autouse=True)
def deployed(wire):
    serve.run(wire.app, name="app")
    serve.run(wire.narrow, name="narrow", route_prefix=None)


@pytest.fixture
def unary(stub, ask, ended):
    async def call(what="", number=0, metadata=APP):
        return await ended(stub.Unary(ask(what=what, number=number), metadata=metadata))

    return call


async def test_a_failure_is_told_in_a_line_without_paths_colours_or_processes(unary):
    end = await unary("raise")
    assert end.code is CODE.INTERNAL
    assert end.details.startswith("FileNotFoundError: cannot open wire_app.py")
    assert not re.search(r"/\w+/|\x1b|pid|127\.0\.0\.1", end.details)
    assert end.trailers[0][0] == "request_id"


async def test_ok_then_raise_is_no_answer(unary):
    end = await unary("ok and raise")
    assert (end.code, end.details, end.messages) == (CODE.INTERNAL, "ValueError: why", [])


async def test_status_details_and_trailers_are_the_handlers(unary):
    end = await unary("set")
    assert (end.code, end.details) == (CODE.DATA_LOSS, "é, 100 %\nend")
    end = await unary("set ok", metadata=(*APP, ("request_id", "1")))
    assert (end.code, end.trailers) == (CODE.OK, (("request_id", "1"), ("num", "0")))


async def test_a_status_after_the_last_yield_counts(stub, ask, ended):
    end = await ended(stub.Server(ask(what="late", number=3), metadata=APP))
    assert (end.code, [each.number for each in end.messages]) == (CODE.DATA_LOSS, [0, 1, 2])


async def test_a_plain_generator_stops_when_its_client_leaves(stub, ask, unary):
    call = stub.Server(ask(what="slowly", number=100), metadata=APP)
    assert [(await call.read()).number for _ in range(2)] == [0, 1]
    call.cancel()
    seen = -1
    while seen != (now := (await unary("steps")).messages[0].number):
        seen = now
        await asyncio.sleep(0.3)
    assert seen < 100


async def test_a_generator_waits_for_a_client_that_does_not_read(stub, ask, unary):
    call = stub.Server(ask(number=300, data=bytes(1_000_000)), metadata=APP)
    assert (await call.read()).number == 0
    seen = -1
    while seen != (now := (await unary("steps")).messages[0].number):
        seen = now
        await asyncio.sleep(0.3)
    assert seen < 30
    call.cancel()


async def test_streams_of_the_client(stub, ask):
    asked = [ask(number=each) for each in range(100)]
    assert (await stub.Client(iter(asked), metadata=APP)).number == 4950
    assert [each.number async for each in stub.Bidi(iter(asked), metadata=APP)] == list(range(100))


async def test_a_client_that_leaves_is_told_from_the_end_of_its_stream(stub, ask, unary):
    before = (await unary("steps")).messages[0].text.split()
    for _ in range(10):
        call = stub.Client(metadata=APP)
        await call.write(ask(number=1))
        await asyncio.sleep(0.02)
        call.cancel()
    told: list[str] = []
    while len(told) < 10:
        told = (await unary("steps")).messages[0].text.split()[len(before) :]
        await asyncio.sleep(0.05)
    assert told == ["cancelled=True,exhausted=False"] * 10


async def test_a_full_queue_refuses_with_a_hint(unary):
    calls = [unary("wait", 1000, (("application", "narrow"), ("request_id", str(each)))) for each in range(4)]
    ends = await asyncio.gather(*calls)
    refused = [(each, end) for each, end in enumerate(ends) if end.code is not CODE.OK]
    assert len(refused) == 2
    for each, end in refused:
        assert end.code is CODE.RESOURCE_EXHAUSTED
        assert end.details.startswith("Request dropped due to backpressure (num_queued_requests=1, ")
        assert dict(end.trailers)["request_id"] == str(each)
        assert int(dict(end.trailers)["grpc-retry-pushback-ms"]) >= 0


async def test_a_call_that_is_cancelled_in_the_queue_leaves_it(stub, ask, unary):
    narrow = (("application", "narrow"),)
    running = asyncio.create_task(unary("runs", 1000, narrow))
    await asyncio.sleep(0.2)
    waiting = stub.Unary(ask(what="waits"), metadata=narrow)
    await asyncio.sleep(0.2)
    waiting.cancel()
    await asyncio.sleep(0.2)
    after = await unary("after", 0, narrow)
    assert (after.code, after.messages[0].text) == (CODE.OK, "after")
    assert (await running).code is CODE.OK


async def test_a_method_that_the_class_lacks(stub, ask, ended):
    end = await ended(stub.Missing(ask(), metadata=APP))
    assert (end.code, end.details) == (CODE.UNIMPLEMENTED, "Method 'Missing' is not implemented by deployment 'App'.")


async def test_corrupt_bytes(channel, ended):
    end = await ended(channel.unary_unary("/wire.probe.Probe/Unary")(b"\xff\xff\xff", metadata=APP))
    assert (end.code, end.trailers[0][0]) == (CODE.INVALID_ARGUMENT, "request_id")


async def test_large_messages_pass_both_ways(probe, ask):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(serve.address() or "", options=options) as channel:
        call = probe.grpc.ProbeStub(channel).Server(ask(number=1, data=bytes(20 << 20)), metadata=APP)
        assert [len(each.data) async for each in call] == [20 << 20]


async def test_a_replica_that_dies_fails_its_call_and_no_other(unary):
    first = (await unary()).messages[0].number
    end = await unary("exit")
    assert end.code in (CODE.UNAVAILABLE, CODE.INTERNAL)
    assert end.trailers[0][0] == "request_id"
    after = await unary()
    assert after.code is CODE.OK
    assert after.messages[0].number != first
