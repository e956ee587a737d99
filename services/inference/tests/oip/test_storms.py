"""Clients that leave, die or come in crowds, and what is left of them."""

import asyncio
import threading

import grpc
import numpy as np
import pytest

from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath_inference.dataplane import forward

from .conftest import raw_input, refusal

pytestmark = pytest.mark.timeout(120)

CUBE = np.random.default_rng(7).random((1, 2, 2, 3), dtype=np.float32)


@pytest.fixture
def held(monkeypatch):
    """Has forwards wait until the event is set; they are listed."""
    go_on, real, begun = threading.Event(), forward._compute, []

    def compute(request, *more):
        begun.append(request)
        go_on.wait(30)
        return real(request, *more)

    # On the device's thread, as what is not known to be quick.
    monkeypatch.setattr("swath_inference.dataplane.batcher._QUICK_S", 0)
    monkeypatch.setattr(forward, "_compute", compute)
    yield go_on, begun
    go_on.set()


async def _until(true):
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def test_a_storm_of_cancelled_calls_leaves_the_server_as_it_was(door):
    expected = (await door.infer(**raw_input(CUBE))).raw_output_contents[0]
    for _ in range(4):
        calls = [asyncio.ensure_future(door.infer(**raw_input(CUBE))) for _ in range(100)]
        await asyncio.sleep(0.005)
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert (await door.infer(**raw_input(CUBE))).raw_output_contents[0] == expected
    await door.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="scale"), timeout=20)


async def test_who_leaves_while_a_call_waits_has_it_never_run(door, held):
    go_on, begun = held
    first = asyncio.ensure_future(door.infer(**raw_input(CUBE)))
    await _until(lambda: begun)
    leaving = [asyncio.ensure_future(door.infer(id="leaving", **raw_input(CUBE))) for _ in range(20)]
    await asyncio.sleep(0.2)
    for each in leaving:
        each.cancel()
    await asyncio.sleep(0.2)
    go_on.set()
    await first
    await door.infer(**raw_input(CUBE))
    assert len(begun) == 2


@pytest.mark.parametrize("how", ["deadline", "timeout"])
async def test_a_call_whose_time_passes_while_it_waits_is_never_run(door, held, how):
    go_on, begun = held
    first = asyncio.ensure_future(door.infer(**raw_input(CUBE)))
    await _until(lambda: begun)
    request = pb.ModelInferRequest(model_name="scale", **raw_input(CUBE))
    if how == "timeout":
        request.parameters["timeout"].int64_param = 50_000
    late = asyncio.ensure_future(door.stub.ModelInfer(request, timeout=0.2 if how == "deadline" else None))
    await asyncio.sleep(0.5)
    go_on.set()
    assert (await refusal(late))[0] == "DEADLINE_EXCEEDED"
    await first
    await door.infer(**raw_input(CUBE))
    assert len(begun) == 2


async def test_the_first_level_of_priority_runs_before_what_came_before_it(door, held):
    go_on, begun = held
    first = asyncio.ensure_future(door.infer(**raw_input(CUBE)))
    await _until(lambda: begun)
    calls, ended = [], []

    async def ask(level, rows):
        cube = np.ones((1, rows, 2, 3), np.float32)
        request = pb.ModelInferRequest(model_name="scale", **raw_input(cube))
        request.parameters["priority"].uint64_param = level
        await door.stub.ModelInfer(request)
        ended.append(level)

    # Of different shapes, so that none is computed with another.
    for rows, level in enumerate((0, 200, 2, 1), start=3):
        calls.append(asyncio.ensure_future(ask(level, rows)))
        await asyncio.sleep(0.1)
    go_on.set()
    await asyncio.gather(first, *calls)
    assert [request.batch["data"].shape[1] for request in begun[1:]] == [6, 5, 3, 4]


async def test_more_calls_than_may_wait_are_refused_and_may_be_repeated(door, held):
    go_on, _ = held
    calls = [asyncio.ensure_future(door.infer(**raw_input(CUBE))) for _ in range(300)]
    await _until(lambda: sum(each.done() for each in calls) >= 300 - 256)
    go_on.set()
    done = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in done if isinstance(each, grpc.aio.AioRpcError)]
    assert {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert len(refused) == 300 - 256


async def test_a_client_that_dies_holds_no_model(door, held):
    go_on, begun = held
    channel = grpc.aio.insecure_channel(door.target, options=[("grpc.use_local_subchannel_pool", 1)])
    stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
    streams = [stub.ModelStreamInfer() for _ in range(5)]
    for each in streams:
        await each.write(pb.ModelInferRequest(model_name="scale", **raw_input(CUBE)))
    await _until(lambda: begun)
    await channel.close()
    go_on.set()
    await _until(lambda: not len(door.protocol.streams))
    answer = await door.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="scale"), timeout=20)
    assert answer.is_unloaded


async def test_a_message_that_is_larger_than_the_server_takes_is_refused(opened):
    door = await opened(max_message_bytes=2 * 1024**2)
    code, _ = await refusal(door.infer(**raw_input(np.zeros((1, 600, 600, 3), np.float32))))
    assert code == "RESOURCE_EXHAUSTED"


async def test_malformed_requests_in_numbers(door):
    rng = np.random.default_rng(11)
    call = door.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    good = pb.ModelInferRequest(model_name="scale", **raw_input(CUBE)).SerializeToString()
    codes = set()
    for _ in range(1000):
        data = bytearray(good)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        try:
            await call(bytes(data))
        except grpc.aio.AioRpcError as error:
            codes.add(error.code().name)
    assert codes <= {"INVALID_ARGUMENT", "NOT_FOUND"}
