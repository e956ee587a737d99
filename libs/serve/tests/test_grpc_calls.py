"""Calls of gRPC clients as a replica runs them: kinds of handlers, and how each way of ending looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from swath import serve
from swath.serve.exceptions import ApplicationNotFound, BackPressureError, RequestTimedOut

OK, CANCELLED, UNKNOWN, INVALID, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 1, 2, 3, 8, 12, 13
DATA_LOSS = 15

STRING = "google.protobuf.StringValue"
INT64 = "google.protobuf.Int64Value"


@serve.deployment(max_ongoing_requests=50)
class Service:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.number = 3

    def Plain(self, request: StringValue) -> StringValue:
        return StringValue(value=f"plain {request.value}")

    async def Async(self, request: StringValue) -> StringValue:
        return StringValue(value=f"async {request.value}")

    async def Context(self, request: StringValue, grpc_context: Any) -> StringValue:
        grpc_context.set_trailing_metadata([("key", "value")])
        grpc_context.set_details("found")
        return StringValue(value=dict(grpc_context.invocation_metadata())["who"])

    async def Code(self, request: StringValue, grpc_context: Any) -> StringValue:
        grpc_context.set_code(grpc.StatusCode.NOT_FOUND)
        grpc_context.set_details("no such thing")
        return StringValue(value="dropped")

    async def CodeThenRaise(self, request: StringValue, grpc_context: Any) -> StringValue:
        grpc_context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
        raise ValueError("not now")

    async def OkThenRaise(self, request: StringValue, grpc_context: Any) -> StringValue:
        grpc_context.set_code(grpc.StatusCode.OK)
        raise ValueError("not now")

    async def Abort(self, request: StringValue, grpc_context: Any) -> StringValue:
        grpc_context.abort(grpc.StatusCode.ABORTED, "enough")
        return StringValue()

    def Raise(self, request: StringValue) -> StringValue:
        raise FileNotFoundError("\x1b[36mcannot read /home/user/secret/cube.bin\x1b[0m")

    async def Nothing(self, request: StringValue) -> None:
        return None

    async def WrongMessage(self, request: StringValue) -> Int64Value:
        return Int64Value(value=1)

    def NotUnary(self, request: StringValue) -> Iterator[StringValue]:
        yield StringValue()

    async def NotAStream(self, request: StringValue) -> StringValue:
        return StringValue()

    async def Stream(self, request: StringValue) -> AsyncIterator[StringValue]:
        for number in range(int(request.value)):
            yield StringValue(value=str(number))

    def PlainStream(self, request: StringValue) -> Iterator[StringValue]:
        for number in range(int(request.value)):
            yield StringValue(value=str(number))

    async def StreamThenCode(self, request: StringValue, grpc_context: Any) -> AsyncIterator[StringValue]:
        yield StringValue(value="one")
        await asyncio.sleep(0.05)
        grpc_context.set_code(grpc.StatusCode.DATA_LOSS)
        grpc_context.set_details("lost")
        grpc_context.set_trailing_metadata([("after", "last")])

    def StreamThenRaise(self, request: StringValue) -> Iterator[StringValue]:
        yield StringValue(value="one")
        yield StringValue(value="two")
        raise ArithmeticError("late")

    def Ticks(self, request: StringValue) -> Iterator[StringValue]:
        try:
            for number in range(300):
                time.sleep(0.02)
                yield StringValue(value=str(number))
        finally:
            self.seen.append("ticks ended")

    def Flood(self, request: StringValue) -> Iterator[StringValue]:
        for number in range(300):
            self.seen.append(f"flood {number}")
            yield StringValue(value="x" * 1_000_000)

    async def Sum(self, stream: Any) -> StringValue:
        total = 0
        async for message in stream:
            total += int(message.value)
        return StringValue(value=str(total))

    async def Echo(self, stream: Any) -> AsyncIterator[StringValue]:
        async for message in stream:
            yield StringValue(value=message.value.upper())

    async def First(self, stream: Any) -> StringValue:
        async for message in stream:
            return message
        return StringValue(value="none")

    async def Listen(self, stream: Any) -> StringValue:
        try:
            async for _ in stream:
                pass
        except asyncio.CancelledError:
            self.seen.append(f"listen cancelled {stream.is_cancelled()}")
            raise
        self.seen.append("listen ended")
        return StringValue()

    def PlainSum(self, stream: Any) -> StringValue:
        return StringValue()

    async def Waits(self, request: StringValue) -> StringValue:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append("waits cancelled")
            raise
        return StringValue()

    def reconfigure(self, config: Any) -> None:
        pass

    def forget(self) -> None:
        self.seen.clear()

    def what_was_seen(self) -> list[str]:
        return self.seen


def _text(value: str) -> bytes:
    return StringValue(value=value).SerializeToString()


def _values(answers: list[bytes]) -> list[str]:
    return [StringValue.FromString(each).value for each in answers]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(shared_runtime: Any) -> Any:
    await shared_runtime.run(Service.bind())
    return shared_runtime


@pytest_asyncio.fixture(loop_scope="module")
async def service(deployed: Any) -> Any:
    await deployed.handle("Service").forget.remote()
    return deployed


ONE = (False, False)
UNARY_STREAM = (False, True)
STREAM_UNARY = (True, False)
STREAM_STREAM = (True, True)


async def test_unary_handlers_answer(service: Any) -> None:
    for method, expected in (("Plain", "plain x"), ("Async", "async x")):
        answers, outcome = await service.call(method, _text("x"))
        assert (_values(answers), outcome.code) == ([expected], OK)


async def test_what_the_context_holds_counts(service: Any) -> None:
    answers, outcome = await service.call("Context", metadata=(("who", "me"),))
    assert _values(answers) == ["me"]
    assert (outcome.code, outcome.details, outcome.trailing_metadata) == (OK, "found", (("key", "value"),))
    answers, outcome = await service.call("Code")
    assert (answers, outcome.code, outcome.details) == ([], 5, "no such thing")
    _, outcome = await service.call("Abort")
    assert (outcome.code, outcome.details) == (10, "enough")


@pytest.mark.parametrize(
    ("method", "streams", "code", "text"),
    [
        ("CodeThenRaise", ONE, 9, "ValueError: not now"),
        ("OkThenRaise", ONE, INTERNAL, "ValueError: not now"),
        ("Raise", ONE, INTERNAL, "FileNotFoundError: cannot read cube.bin"),
        ("Nothing", ONE, INTERNAL, f"TypeError: Method 'Nothing' must give {STRING}, got NoneType"),
        ("WrongMessage", ONE, INTERNAL, f"TypeError: Method 'WrongMessage' must give {STRING}, got {INT64}"),
        ("NotUnary", ONE, INTERNAL, "TypeError: Method 'NotUnary' returned a generator."),
        (
            "NotAStream",
            UNARY_STREAM,
            INTERNAL,
            "TypeError: Called method 'NotAStream' as a stream, but it did not return",
        ),
        (
            "PlainSum",
            STREAM_UNARY,
            INTERNAL,
            "TypeError: Method 'PlainSum' takes a stream, so it must be an `async def`",
        ),
        ("number", ONE, INTERNAL, "TypeError: 'number' of deployment 'Service' is not a callable object"),
        ("Missing", ONE, UNIMPLEMENTED, "Method 'Missing' is not implemented by deployment 'Service'."),
        ("reconfigure", ONE, UNIMPLEMENTED, "Method 'reconfigure' is not implemented by deployment 'Service'."),
        ("__init__", ONE, UNIMPLEMENTED, "Method '__init__' is not implemented by deployment 'Service'."),
    ],
)
async def test_failures_are_short_and_true(
    service: Any, method: str, streams: tuple[bool, bool], code: int, text: str
) -> None:
    answers, outcome = await service.call(method, streams=streams)
    assert (answers, outcome.code) == ([], code)
    assert outcome.details.startswith(text)


async def test_bytes_that_are_no_message_are_the_clients_mistake(service: Any) -> None:
    _, outcome = await service.call("Plain", b"\xff\xff\xff")
    assert outcome.code == INVALID
    assert "is not the message that this method takes: expected google.protobuf.StringValue" in outcome.details


@pytest.mark.parametrize("method", ["Stream", "PlainStream"])
async def test_streams_arrive_in_order(service: Any, method: str) -> None:
    answers, outcome = await service.call(method, _text("5000"), streams=UNARY_STREAM)
    assert (_values(answers), outcome.code) == ([str(number) for number in range(5000)], OK)
    answers, outcome = await service.call(method, _text("0"), streams=UNARY_STREAM)
    assert (answers, outcome.code) == ([], OK)


async def test_the_context_at_the_end_of_a_stream_counts(service: Any) -> None:
    answers, outcome = await service.call("StreamThenCode", streams=UNARY_STREAM)
    assert _values(answers) == ["one"]
    assert (outcome.code, outcome.details, outcome.trailing_metadata) == (DATA_LOSS, "lost", (("after", "last"),))
    answers, outcome = await service.call("StreamThenRaise", streams=UNARY_STREAM)
    assert _values(answers) == ["one", "two"]
    assert (outcome.code, outcome.details) == (INTERNAL, "ArithmeticError: late")


async def test_client_streams_are_read(service: Any) -> None:
    exchange = await service.open("Sum", None, streams=STREAM_UNARY)
    for number in range(1000):
        await exchange.send(_text(str(number)))
    await exchange.finish()
    assert _values([each async for each in exchange]) == [str(sum(range(1000)))]


async def test_both_ways_at_once(service: Any) -> None:
    exchange = await service.open("Echo", None, streams=STREAM_STREAM)
    answers = aiter(exchange)
    for word in ("a", "b"):
        await exchange.send(_text(word))
        assert StringValue.FromString(await anext(answers)).value == word.upper()
    await exchange.finish()
    with pytest.raises(StopAsyncIteration):
        await anext(answers)
    assert exchange.outcome.code == OK


async def test_an_answer_before_the_clients_stream_has_ended(service: Any) -> None:
    exchange = await service.open("First", None, streams=STREAM_UNARY)
    await exchange.send(_text("only"))
    assert _values([each async for each in exchange]) == ["only"]
    await exchange.send(_text("nobody reads this"))
    await exchange.finish()


async def test_cancel_is_told_from_the_end_of_input(service: Any, until: Any) -> None:
    for cancelled in (True, False):
        exchange = await service.open("Listen", None, streams=STREAM_UNARY)
        await exchange.send(_text("x"))
        await asyncio.sleep(0.05)
        exchange.cancel() if cancelled else await exchange.finish()
        assert [each async for each in exchange] == ([] if cancelled else [b""])
        assert exchange.outcome.code == (CANCELLED if cancelled else OK)
    seen = await service.handle("Service").what_was_seen.remote()
    assert seen == ["listen cancelled True", "listen ended"]


async def test_cancel_reaches_async_handlers_and_plain_generators(service: Any) -> None:
    waits = await service.open("Waits")
    ticks = await service.open("Ticks", streams=UNARY_STREAM)
    answers = aiter(ticks)
    await anext(answers)
    waits.cancel("the client has gone")
    ticks.cancel()
    assert [each async for each in waits] == []
    assert (waits.outcome.code, waits.outcome.details) == (CANCELLED, "the client has gone")
    assert service.overview("Service").ongoing == 0
    seen: list[str] = []
    for _ in range(200):
        seen = await service.handle("Service").what_was_seen.remote()
        if len(seen) == 2:
            break
        await asyncio.sleep(0.01)
    assert sorted(seen) == ["ticks ended", "waits cancelled"]


async def test_a_reader_that_stops_stops_the_generator(service: Any) -> None:
    flood = await service.open("Flood", streams=UNARY_STREAM)
    answers = aiter(flood)
    assert len(await anext(answers)) > 1_000_000
    handle = service.handle("Service")
    seen, before = [], [""]
    for _ in range(100):
        seen = await handle.what_was_seen.remote()
        if seen == before:
            break
        before = seen
        await asyncio.sleep(0.05)
    # Of 300: the window, and what is under way beside it.
    assert len(seen) <= 8
    assert [len(each) > 1_000_000 async for each in flood] == [True] * 299
    assert flood.outcome.code == OK


async def test_queues_end_at_deadlines_and_are_bounded(shared_runtime: Any) -> None:
    runtime = shared_runtime
    await runtime.run(Service.options(max_ongoing_requests=1, max_queued_requests=1).bind(), "narrow")
    first = await runtime.open("Waits", application="narrow")
    with pytest.raises(RequestTimedOut):
        await runtime.open("Async", application="narrow", deadline=time.time() + 0.05)
    waiting = asyncio.create_task(runtime.call("Async", _text("x"), application="narrow"))
    await asyncio.sleep(0)
    with pytest.raises(BackPressureError):
        await runtime.open("Async", application="narrow")
    first.cancel()
    answers, _ = await waiting
    assert _values(answers) == ["async x"]


async def test_an_unknown_application_is_not_found(shared_runtime: Any) -> None:
    with pytest.raises(ApplicationNotFound):
        await shared_runtime.open("Async", application="none")


@serve.deployment
def answer_all(request: StringValue) -> StringValue:
    return StringValue(value=request.value[::-1])


async def test_a_function_answers_to_every_method(shared_runtime: Any) -> None:
    await shared_runtime.run(answer_all.bind(), "function")
    answers, _ = await shared_runtime.call("Whatever", _text("abc"), application="function")
    assert _values(answers) == ["cba"]
