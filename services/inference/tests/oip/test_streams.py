"""ModelStreamInfer over a real server: order, errors, ends."""

import asyncio
import threading
import time
from typing import Any, cast

import grpc
import numpy as np
import pytest

from swath.inference import open_inference_pb2 as pb
from swath_inference.dataplane import forward

from .conftest import NODES, raw_input

pytestmark = pytest.mark.timeout(60)

EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it
CUBE = np.random.default_rng(7).random((1, 2, 2, 3), dtype=np.float32)


def _request(number, name="scale", array=CUBE, **more):
    return pb.ModelInferRequest(model_name=name, id=str(number), **raw_input(array), **more)


async def _rest(call):
    answers = []
    while (answer := await call.read()) is not EOF:
        answers.append(answer)
    return answers


async def _asked(door, *requests, metadata=()):
    call = door.stub.ModelStreamInfer(metadata=metadata)
    for each in requests:
        await call.write(each)
    await call.done_writing()
    return await _rest(call), call


class TestAnswers:
    async def test_they_come_in_the_order_of_requests_with_the_bits_of_unary_calls(self, door):
        cubes = np.random.default_rng(3).random((40, 1, 2, 2, 3), dtype=np.float32)
        answers, call = await _asked(door, *(_request(number, array=cube) for number, cube in enumerate(cubes)))
        assert [each.infer_response.id for each in answers] == [str(number) for number in range(40)]
        assert not any(each.error_message for each in answers)
        for cube, each in zip(cubes, answers, strict=True):
            alone = await door.infer(**raw_input(cube))
            assert list(each.infer_response.raw_output_contents) == list(alone.raw_output_contents)
            assert each.infer_response.model_version == "1"
        assert await call.code() is grpc.StatusCode.OK

    async def test_each_is_the_last_of_its_request(self, door):
        request = _request(1)
        request.parameters["triton_enable_empty_final_response"].bool_param = True
        [answer], _ = await _asked(door, request)
        assert answer.infer_response.parameters["triton_final_response"].bool_param is True
        assert len(answer.infer_response.outputs) == 1

    async def test_a_fast_model_waits_for_a_slow_one(self, door, shop, monkeypatch):
        shop.publish(
            "slow",
            {
                "name": "slow",
                "class_name": f"{NODES}.normalization.MinMaxNormalizer",
                "hparams": {"use_running_stats": False},
            },
        )
        real = forward._compute

        def compute(request, *more):
            if "slow" in request.model.pipeline.nodes:
                time.sleep(0.2)
            return real(request, *more)

        monkeypatch.setattr(forward, "_compute", compute)
        answers, _ = await _asked(door, _request(1, "slow"), _request(2))
        assert [(each.infer_response.id, each.infer_response.model_name) for each in answers] == [
            ("1", "slow"),
            ("2", "scale"),
        ]

    async def test_a_stream_without_requests_has_no_answers(self, door):
        answers, call = await _asked(door)
        assert answers == []
        assert await call.code() is grpc.StatusCode.OK


class TestErrors:
    async def test_one_is_told_in_its_place_and_the_stream_goes_on(self, door):
        bad = _request("bad")
        bad.inputs[0].shape[0] = 2
        answers, call = await _asked(door, _request(1), bad, _request(2, "nope"), _request(3))
        assert [each.infer_response.id for each in answers] == ["1", "bad", "2", "3"]
        assert [bool(each.error_message) for each in answers] == [False, True, True, False]
        assert "Expected 96, got 48" in answers[1].error_message
        assert answers[1].infer_response.model_name == "scale"
        assert answers[1].infer_response.parameters["triton_final_response"].bool_param
        assert "nope" in answers[2].error_message
        assert await call.code() is grpc.StatusCode.OK

    @pytest.mark.parametrize(
        ("name", "code"), [("nope", grpc.StatusCode.NOT_FOUND), ("scale", grpc.StatusCode.INVALID_ARGUMENT)]
    )
    async def test_they_are_the_streams_status_where_that_is_asked_for(self, door, name, code):
        bad = _request("bad", name)
        bad.inputs[0].name = "other"
        call = door.stub.ModelStreamInfer(metadata=(("triton_grpc_error", "true"),))
        for each in (_request(1), bad, _request(2), _request(3)):
            await call.write(each)
        assert (await call.read()).infer_response.id == "1"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _rest(call)
        assert caught.value.code() is code
        # Whoever comes after finds the server well.
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1

    async def test_bytes_that_are_no_request_end_it_after_what_is_due(self, door):
        call = door.channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )()
        await call.write(_request(1).SerializeToString())
        await call.write(b"\xff\xff\xff")
        assert (await call.read()).infer_response.id == "1"
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


class TestEnds:
    async def test_a_hundred_idle_streams_hold_no_thread_and_stop_nobody(self, door):
        await door.infer(**raw_input(CUBE))
        before = threading.active_count()
        calls = [door.stub.ModelStreamInfer() for _ in range(100)]
        for call in calls:
            await call.write(_request(1))
            assert (await call.read()).infer_response.id == "1"
        assert len(door.protocol.streams) == 100
        assert threading.active_count() - before < 10
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1
        for call in calls:
            call.cancel()

    async def test_one_that_is_cancelled_leaves_nothing_behind(self, door, service):
        for _ in range(20):
            call = door.stub.ModelStreamInfer()
            for number in range(5):
                await call.write(_request(number))
            call.cancel()
        for _ in range(500):
            if not len(door.protocol.streams):
                break
            await asyncio.sleep(0.01)
        assert len(door.protocol.streams) == 0
        # Nothing runs any more: what is unloaded is so at once.
        await door.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="scale"), timeout=20)

    async def test_a_deadline_ends_it(self, door):
        call = door.stub.ModelStreamInfer(timeout=0.3)
        await call.write(_request(1))
        assert (await call.read()).infer_response.id == "1"
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    async def test_a_drain_ends_it_after_what_is_due(self, door):
        call = door.stub.ModelStreamInfer()
        await call.write(_request(1))
        await call.read()
        door.protocol.streams.drain()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        late = door.stub.ModelStreamInfer()
        assert await late.code() is grpc.StatusCode.UNAVAILABLE

    async def test_more_bytes_than_are_taken_ahead_come_through(self, door):
        cube = np.ones((1, 200, 200, 61), np.float32)
        call = door.stub.ModelStreamInfer()

        async def write():
            for number in range(12):
                await call.write(_request(number, array=cube))
            await call.done_writing()

        writing = asyncio.create_task(write())
        answers = await _rest(call)
        await writing
        assert [each.infer_response.id for each in answers] == [str(number) for number in range(12)]
