"""Inference and profiling as clients see them: over a real server that runs the service."""

import uuid
from pathlib import Path

import grpc
import numpy as np
import pytest

from swath.api import CUVIS
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath_inference import InferenceServicer
from swath_inference.protocols.cuvis.shared import SharedMemory

DATA = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)


@pytest.fixture
async def connect(service, profiling):
    """Starts a server of the service, and gives a channel to it."""
    started = []

    async def start(**options):
        handlers = [slice_handler(CUVIS, "inference", InferenceServicer(service, profiling, **options))]
        settings = ServerSettings(port=0, drain_grace_s=1)
        server = Server(settings, handlers, (CUVIS,), HealthBoard(("inference",)))
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        started.append((server, channel))
        return channel

    yield start
    for server, channel in started:
        await channel.close()
        await server.drain()


@pytest.fixture
async def stub(connect):
    return cuvis_ai_pb2_grpc.CuvisAIServiceStub(await connect())


@pytest.fixture
def segment():
    """Puts `DATA` into shared memory for a session, and gives a tensor that refers to it."""
    places = []

    def make(session_id):
        place = Path("/dev/shm", f"swath-{session_id}-{uuid.uuid4()}")
        place.write_bytes(DATA.tobytes())
        places.append(place)
        reference = pb.ShmRef(name=place.name, byte_size=DATA.nbytes)
        return pb.Tensor(shape=DATA.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=reference)

    yield make
    for place in places:
        place.unlink()


def _request(session_id, tensor=None, **fields):
    sent = tensor or pb.Tensor(shape=DATA.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=DATA.tobytes())
    return pb.InferenceRequest(session_id=session_id, inputs=pb.InputBatch(extra_inputs={"data": sent}), **fields)


def _values(answer):
    return np.frombuffer(answer.outputs["node.normalized"].raw_data, np.float32).tolist()


async def _refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


async def test_a_batch_comes_back_computed(stub, normalizing):
    answer = await stub.Inference(_request(await normalizing()))
    # Each channel holds 0, 2, 4, 6 above its least.
    assert _values(answer) == pytest.approx([value for third in (0, 1, 2, 3) for value in (third / 3,) * 2])


async def test_only_what_was_asked_for_comes_back(stub, normalizing):
    session_id = await normalizing()
    assert list((await stub.Inference(_request(session_id, output_specs=["normalized"]))).outputs) == [
        "node.normalized"
    ]
    assert not (await stub.Inference(_request(session_id, output_specs=["scores"]))).outputs


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (pb.Tensor(shape=[1, 2, 2, 2], dtype=pb.D_TYPE_FLOAT32, raw_data=b"1234"), "data: "),
        (pb.Tensor(shape=[4], dtype=pb.D_TYPE_FLOAT32, raw_data=bytes(16)), "data"),
        (pb.Tensor(shape=[1, 1, 1, 1], dtype=pb.D_TYPE_INT32, raw_data=bytes(4)), "data"),
    ],
    ids=["payload", "shape", "type"],
)
async def test_a_batch_that_does_not_fit_is_the_client_s_mistake(stub, normalizing, tensor, message):
    code, text = await _refused(stub.Inference(_request(await normalizing(), tensor)))
    assert code == "INVALID_ARGUMENT"
    assert message in text


async def test_a_session_that_there_is_not_is_not_found(stub):
    assert (await _refused(stub.Inference(_request("nobody"))))[0] == "NOT_FOUND"


async def test_a_session_without_a_pipeline_is_not_ready(stub, sessions):
    assert (await _refused(stub.Inference(_request((await sessions.create()).id))))[0] == "FAILED_PRECONDITION"


async def test_bytes_that_are_no_message_are_refused(connect):
    inference = (await connect()).unary_unary(f"/{CUVIS}/Inference")
    code, text = await _refused(inference(b"\xff\xff"))
    assert code == "INVALID_ARGUMENT"
    assert "is not the message that this method takes" in text


class TestSharedMemory:
    async def test_a_client_of_this_machine_may_refer_to_it(self, stub, normalizing, segment):
        session_id = await normalizing()
        by_reference = await stub.Inference(_request(session_id, segment(session_id)))
        assert by_reference == await stub.Inference(_request(session_id))

    async def test_segments_belong_to_one_session(self, stub, normalizing, segment):
        mine, theirs = await normalizing(), await normalizing()
        code, text = await _refused(stub.Inference(_request(mine, segment(theirs))))
        assert code == "FAILED_PRECONDITION"
        assert f"begin with 'swath-{mine}'" in text

    async def test_where_nobody_is_asked_who_calls_any_segment_may_be_named(self, connect, normalizing, segment):
        mine, theirs = await normalizing(), await normalizing()
        stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(await connect(memory=SharedMemory(free=True)))
        assert _values(await stub.Inference(_request(mine, segment(theirs)))) == _values(
            await stub.Inference(_request(mine))
        )

    async def test_behind_a_gateway_sessions_may_have_their_own_where_nodes_share_it(
        self, connect, normalizing, segment
    ):
        mine, theirs = await normalizing(), await normalizing()
        memory = SharedMemory(local=False, behind_gateway=True)
        stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(await connect(memory=memory))
        by_reference = await stub.Inference(_request(mine, segment(mine)))
        assert by_reference == await stub.Inference(_request(mine))
        assert (await _refused(stub.Inference(_request(mine, segment(theirs)))))[0] == "FAILED_PRECONDITION"

    async def test_behind_a_gateway_nobody_may(self, connect, normalizing, segment):
        session_id = await normalizing()
        stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(await connect(memory=SharedMemory(local=False)))
        code, text = await _refused(stub.Inference(_request(session_id, segment(session_id))))
        assert code == "FAILED_PRECONDITION"
        assert "only from clients on the same host" in text


class TestProfiling:
    async def _on(self, stub, session_id, **fields):
        return await stub.SetProfiling(pb.SetProfilingRequest(session_id=session_id, enabled=True, **fields))

    async def _summary(self, stub, session_id, **fields):
        answer = await stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=session_id, **fields))
        return list(answer.node_stats)

    async def test_it_is_off_until_it_is_switched_on(self, stub, normalizing):
        session_id = await normalizing()
        await stub.Inference(_request(session_id))
        assert await self._summary(stub, session_id) == []
        assert (await self._on(stub, session_id)).profiling_enabled
        await stub.Inference(_request(session_id))
        [stats] = await self._summary(stub, session_id)
        assert (stats.node_name, stats.stage, stats.count) == ("node", pb.EXECUTION_STAGE_INFERENCE, 1)
        assert 0 < stats.min_ms == stats.max_ms == stats.last_ms == stats.total_ms

    async def test_the_first_calls_may_be_left_out(self, stub, normalizing):
        session_id = await normalizing()
        await self._on(stub, session_id, skip_first_n=2, synchronize_cuda=True)
        for _ in range(3):
            await stub.Inference(_request(session_id))
        assert [stats.count for stats in await self._summary(stub, session_id)] == [1]

    async def test_a_reset_forgets_what_was(self, stub, normalizing):
        session_id = await normalizing()
        await self._on(stub, session_id)
        await stub.Inference(_request(session_id))
        await self._on(stub, session_id, reset=True)
        assert await self._summary(stub, session_id) == []

    async def test_switched_off_it_keeps_what_it_has(self, stub, normalizing):
        session_id = await normalizing()
        await self._on(stub, session_id)
        await stub.Inference(_request(session_id))
        answer = await stub.SetProfiling(pb.SetProfilingRequest(session_id=session_id, enabled=False))
        await stub.Inference(_request(session_id))
        assert not answer.profiling_enabled
        assert [stats.count for stats in await self._summary(stub, session_id)] == [1]

    @pytest.mark.parametrize(("stage", "nodes"), [(pb.EXECUTION_STAGE_INFERENCE, 1), (pb.EXECUTION_STAGE_TRAIN, 0)])
    async def test_a_summary_may_be_of_one_stage(self, stub, normalizing, stage, nodes):
        session_id = await normalizing()
        await self._on(stub, session_id)
        await stub.Inference(_request(session_id))
        assert len(await self._summary(stub, session_id, stage=stage)) == nodes

    async def test_a_stage_that_there_is_not_is_refused(self, stub, normalizing):
        request = pb.GetProfilingSummaryRequest(session_id=await normalizing(), stage=99)  # type: ignore[arg-type]
        code, text = await _refused(stub.GetProfilingSummary(request))
        assert code == "INVALID_ARGUMENT"
        assert "there is no execution stage 99" in text

    async def test_it_needs_a_pipeline(self, stub, sessions):
        session_id = (await sessions.create()).id
        for call in (
            stub.SetProfiling(pb.SetProfilingRequest(session_id=session_id, enabled=True)),
            stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=session_id)),
        ):
            assert (await _refused(call))[0] == "FAILED_PRECONDITION"
