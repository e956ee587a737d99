"""What a call meets on its way: slices, errors, limits."""

import asyncio
import errno
import gc
import weakref
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import Exhausted, InputInvalid, Unavailable
from swath.rpc.server.calls import Calls
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import Methods
from swath.rpc.server.reactor import make_server
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings


class Inference:
    """Answers or raises what a test wants."""

    def __init__(self, behaviour=None) -> None:
        self.behaviour = behaviour

    async def Inference(self, request, context):
        return await self.behaviour(request) if self.behaviour else pb.InferenceResponse(metrics={"n": 1.0})

    async def SetProfiling(self, request, context):
        raise ZeroDivisionError("a secret")

    async def GetProfilingSummary(self, request, context):
        return pb.GetProfilingSummaryResponse()


class Training:
    """A stream that fails after its first message."""

    async def Train(self, request, context):
        yield pb.TrainResponse(message="first")
        raise InputInvalid("then nothing")

    async def SetTrainRunConfig(self, request, context): ...

    async def StopTrain(self, request, context): ...

    async def GetTrainStatus(self, request, context): ...

    async def GetTrainingCapabilities(self, request, context): ...


class Endless:
    """A stream that only its client ends; notes who its caller was when it was ended, and in which task."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    async def Train(self, request, context):
        peer, task = context.peer(), asyncio.current_task()
        try:
            while True:
                yield pb.TrainResponse(message=peer)
        finally:
            self.ended.put_nowait((context.peer(), asyncio.current_task() is task))

    async def SetTrainRunConfig(self, request, context): ...

    async def StopTrain(self, request, context): ...

    async def GetTrainStatus(self, request, context): ...

    async def GetTrainingCapabilities(self, request, context): ...


def _info(error: Any) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


async def test_a_slice_answers_its_methods(serve):
    part = await serve({"inference": Inference()})
    answer = await part.stub.Inference(pb.InferenceRequest())
    assert answer.metrics["n"] == 1.0


async def test_a_method_of_another_service_is_unimplemented_and_says_whose_it_is(serve):
    part = await serve({"inference": Inference()})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.CreateSession(pb.CreateSessionRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "'session'" in str(caught.value.details())
    assert _info(caught.value).metadata["service"] == "session"


async def test_an_unknown_method_is_unimplemented(serve):
    part = await serve({"inference": Inference()})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.channel.unary_unary("/nothing.Here/Nothing")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_an_error_carries_its_code_reason_and_metadata(serve):
    async def refuse(request):
        raise InputInvalid("the cube has 3 dimensions", metadata={"node": "RX", "port": "data"})

    part = await serve({"inference": Inference(refuse)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "the cube has 3 dimensions"
    info = _info(caught.value)
    assert (info.reason, info.domain, dict(info.metadata)) == ("INPUT_INVALID", "swath", {"node": "RX", "port": "data"})


async def test_a_full_queue_says_when_to_come_back(serve):
    async def refuse(request):
        raise Exhausted("full", retry_after=1.5)

    part = await serve({"inference": Inference(refuse)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest())
    failure: Any = caught.value
    status: Any = rpc_status.from_call(failure)
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


async def test_the_text_of_an_unknown_exception_never_leaves_the_server(serve):
    part = await serve({"inference": Inference()})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.SetProfiling(pb.SetProfilingRequest())
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())
    assert _info(caught.value).metadata["incident"] in str(caught.value.details())


@pytest.mark.parametrize("method", ["Inference", "Train"])
async def test_what_is_no_answer_is_a_fault_whose_text_never_leaves_the_server(serve, method):
    class Wrong(Training):
        async def Train(self, request, context):
            yield cast(Any, "a secret")

    async def wrong(request):
        return "a secret"

    part = await serve({"inference": Inference(wrong), "training": Wrong()})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.channel.unary_unary(f"/cuvis_ai.v1.CuvisAIService/{method}")(b"")
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())
    assert _info(caught.value).metadata["incident"] in str(caught.value.details())


async def test_a_stream_that_fails_gives_what_it_had_and_then_its_error(serve):
    part = await serve({"training": Training()})
    call = part.stub.Train(pb.TrainRequest())
    assert (await call.read()).message == "first"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert _info(caught.value).reason == "INPUT_INVALID"


async def test_a_long_message_does_not_break_the_trailers(serve):
    async def refuse(request):
        raise InputInvalid("ä" * 50_000)

    part = await serve({"inference": Inference(refuse)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest())
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "50000 characters in all" in str(caught.value.details())
    assert _info(caught.value).reason == "INPUT_INVALID"  # Clients read details only if they repeat the message.


async def test_a_message_with_half_a_surrogate_pair_still_travels(serve):
    async def refuse(request):
        raise InputInvalid("no node \ud800", metadata={"node": "\ud800"})

    part = await serve({"inference": Inference(refuse)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest())
    assert caught.value.details() == "no node ?"
    assert _info(caught.value).metadata["node"] == "?"


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xfe", b"\x0a\xff\xff"], ids=["no UTF-8", "cut off"])
@pytest.mark.parametrize("method", ["Inference", "Train"])
async def test_bytes_that_are_no_request_are_an_invalid_argument(serve, method, data):
    part = await serve({"inference": Inference(), "training": Training()})
    path = f"/cuvis_ai.v1.CuvisAIService/{method}"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.channel.unary_unary(path)(data)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert _info(caught.value).reason == "INVALID_ARGUMENT"


async def test_a_request_above_the_limit_is_refused(serve):
    part = await serve({"inference": Inference()}, max_message_bytes=1024)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest(session_id="x" * 2000))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_port_that_is_taken_is_refused_rather_than_shared(serve):
    part = await serve({"inference": Inference()})
    second = Server(ServerSettings(port=part.server.port), [], (), HealthBoard(()))
    with pytest.raises(Unavailable, match="taken"):
        await second.start()


async def test_calls_in_flight_end_while_the_server_drains(serve):
    begun = asyncio.Event()

    async def slow(request):
        begun.set()
        await asyncio.sleep(0.3)
        return pb.InferenceResponse()

    part = await serve({"inference": Inference(slow)})
    call = asyncio.ensure_future(part.stub.Inference(pb.InferenceRequest()))
    await begun.wait()
    await part.server.drain()
    assert await call == pb.InferenceResponse()


async def test_a_stream_whose_client_leaves_ends_while_its_call_is_still_there(serve):
    endless = Endless()
    part = await serve({"training": endless})
    for _ in range(20):
        call = part.stub.Train(pb.TrainRequest())
        peer = (await call.read()).message
        call.cancel()
        then, same_task = await asyncio.wait_for(endless.ended.get(), 5)
        assert then in (peer, "")  # the connection's address, unless gRPC has let go of that already
        assert same_task


@pytest.mark.parametrize("error", [InputInvalid("no"), ZeroDivisionError("a fault")], ids=["refused", "failed"])
async def test_what_a_failed_call_was_made_of_goes_with_it(serve, error):
    class Payload: ...

    made = []

    async def fail(request):
        payload = Payload()
        made.append(weakref.ref(payload))
        raise error

    part = await serve({"inference": Inference(fail)})
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(grpc.aio.AioRpcError):
            await part.stub.Inference(pb.InferenceRequest())
        await part.stub.GetProfilingSummary(pb.GetProfilingSummaryRequest())
        assert [each() for each in made] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("method", ["Inference", "Train"])
async def test_a_call_without_a_message_is_refused(serve, method):
    async def nothing():
        for each in ():
            yield each

    part = await serve({"inference": Inference(), "training": Training()})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.channel.stream_unary(f"/cuvis_ai.v1.CuvisAIService/{method}")(nothing(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "exactly one, got none" in str(caught.value.details())


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errno.EMFILE, grpc.StatusCode.UNAVAILABLE),
        (errno.EROFS, grpc.StatusCode.FAILED_PRECONDITION),
        (errno.ENAMETOOLONG, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_what_the_system_refuses_is_no_fault_of_the_server(serve, number, code):
    async def refuse(request):
        raise OSError(number, "no", "/var/lib/secret")

    part = await serve({"inference": Inference(refuse)})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await part.stub.Inference(pb.InferenceRequest())
    assert caught.value.code() == code
    assert "/var/lib" not in str(caught.value.details())


def test_a_method_is_wrapped_once_and_not_in_each_call():
    async def echo(request, context):
        return request

    calls = Calls((Methods("s.S", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}),))
    details: Any = SimpleNamespace(method="/s.S/Echo", invocation_metadata=())
    assert calls.service(details) is calls.service(details) is not None


async def test_of_two_that_have_a_method_the_first_one_answers():
    async def first(request, context):
        return b"first"

    async def second(request, context):
        return b"second"

    one, two = (Methods("s.S", {"Ask": grpc.unary_unary_rpc_method_handler(each)}) for each in (first, second))
    server = make_server()
    server.add_generic_rpc_handlers((Calls((one, two)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await channel.unary_unary("/s.S/Ask")(b"") == b"first"
    await server.stop(0)
