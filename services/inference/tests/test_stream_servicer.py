"""StreamInfer and InferCube as clients see them: over a real server that runs the service."""

import asyncio
import gc
import threading
import tracemalloc
import weakref
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import numpy as np
import pytest

from swath.api import INFERENCE
from swath.documents import canonical, parse
from swath.inference.v1 import inference_pb2 as pb
from swath.inference.v1 import inference_pb2_grpc
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath_inference import InferenceService, InferenceSettings
from swath_inference.dataplane import forward
from swath_inference.dataplane.models import OVERHEAD
from swath_inference.protocols.stream import messages
from swath_inference.protocols.stream.servicer import StreamServicer
from swath_inference.published.calls import ModelCalls
from swath_inference.published.loading import Loader
from swath_inference.published.models import PublishedModels

pytestmark = pytest.mark.timeout(60)

MIB = 1 << 20
EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it

SCALE = {"class_name": "cuvis_ai.node.normalization.MinMaxNormalizer", "hparams": {"use_running_stats": False}}
# Its bounds are the least and the largest of the frames so far.
REMEMBERING = {
    "class_name": "cuvis_ai.node.normalization.PercentileNormalizer",
    "hparams": {"n_channels": 3, "quantile_low": 0.0, "quantile_high": 1.0, "running_warmup_frames": 0},
}


@pytest.fixture
async def service(sessions, artifacts, workspace):
    """Warm; it cuts cubes into parts of 1000 bytes, keeps 10,000 and takes three frames ahead."""
    settings = InferenceSettings(device="cpu", tile_bytes=1000, cube_bytes=10_000, frames_ahead=3, cube_wait_s=0.5)
    service = InferenceService(settings, sessions, artifacts, workspace)
    sessions.on_close(service.forget, service.sessions_in_use)
    await service.warm_up()
    yield service
    service.close()


@asynccontextmanager
async def serving(service):
    """Serve a service and give the server."""
    models = PublishedModels()
    calls = ModelCalls(models, Loader(models, service.runner), service.runner)
    handlers = [slice_handler(INFERENCE, "inference", StreamServicer(service, calls))]
    server = Server(ServerSettings(port=0, drain_grace_s=1), handlers, (INFERENCE,), HealthBoard(("inference",)))
    await server.start()
    yield server
    await server.drain()


@asynccontextmanager
async def _stub_of(server):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield inference_pb2_grpc.InferenceServiceStub(channel)


@pytest.fixture
async def stub(service):
    async with serving(service) as server, _stub_of(server) as stub:
        yield stub


@pytest.fixture
def session_of(sessions, artifacts):
    """Makes a session of a pipeline of one node, or gives one that there is another pipeline."""

    async def make(node, session_id=None):
        document = {"nodes": [{"name": "node", **node}], "connections": []}
        session = await (sessions.get(session_id) if session_id else sessions.create())
        digest = artifacts.put_sync(canonical(parse("pipeline", document)))
        await sessions.update(session.id, session.revision, pipeline_digest=digest)
        return session.id

    return make


def _tensor(array):
    code = {"float32": pb.D_TYPE_FLOAT32, "int32": pb.D_TYPE_INT32}[str(array.dtype)]
    return pb.Tensor(shape=array.shape, dtype=code, data=array.tobytes())


def _open(session_id, *outputs):
    return pb.StreamInferRequest(open=pb.Open(session_id=session_id, outputs=outputs))


def _frame(number, array):
    return pb.StreamInferRequest(frame=pb.Frame(id=number, inputs={"data": _tensor(array)}))


def _values(result, name="node.normalized"):
    assert not result.HasField("error"), result.error
    tensor = result.outputs[name]
    return np.frombuffer(tensor.data, np.float32).reshape(tensor.shape)


async def _opened(stub, session_id, *outputs):
    call = stub.StreamInfer()
    await call.write(_open(session_id, *outputs))
    assert (await call.read()).opened.frames_ahead == 3
    return call


async def _ended(call):
    """Return how a stream ended."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while await call.read() is not EOF:
            pass
        await call
    return caught.value.code().name, caught.value.details() or ""


async def _rest(call):
    """Return the results that still come."""
    results = []
    while (answer := await call.read()) is not EOF:
        results.append(answer.result)
    return results


def _cubes(count, seed=3):
    return np.random.default_rng(seed).random((count, 1, 4, 5, 3), dtype=np.float32)


def _scaled(cube):
    low, high = (end(cube, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    return (cube - low) / (high - low)


class TestFrames:
    async def test_results_come_in_the_order_of_the_frames(self, stub, session_of):
        call, cubes = await _opened(stub, await session_of(SCALE)), _cubes(10)
        for number, cube in enumerate(cubes):
            await call.write(_frame(100 - number, cube))
        await call.done_writing()
        results = await _rest(call)
        assert [result.id for result in results] == [100 - number for number in range(10)]
        for result, cube in zip(results, cubes, strict=True):
            np.testing.assert_allclose(_values(result), _scaled(cube), rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("bad", "reason", "words"),
        [
            (
                pb.Frame(id=1, inputs={"data": pb.Tensor(shape=[5], dtype=pb.D_TYPE_FLOAT32, data=b"1234")}),
                "INPUT_INVALID",
                "reshape",
            ),
            (
                pb.Frame(id=1, inputs={"data": pb.Tensor(shape=[1], dtype=pb.D_TYPE_FLOAT32, data=b"1234")}),
                "INPUT_INVALID",
                "rank",
            ),
            (pb.Frame(id=1, inputs={"data": pb.Tensor(shape=[1, 0, 3])}), "INPUT_INVALID", "Unsupported dtype: 0"),
            (
                pb.Frame(id=1, inputs={"data": pb.Tensor(shape=[1, 0, 3, 3], dtype=pb.D_TYPE_FLOAT32)}),
                "INPUT_INVALID",
                "no elements",
            ),
            (
                pb.Frame(id=1, inputs={"data": pb.Tensor(shape=[1 << 40] * 2, dtype=pb.D_TYPE_FLOAT32)}),
                "INPUT_INVALID",
                "too large",
            ),
            (pb.Frame(id=1), "INPUT_INVALID", "missing required inputs"),
        ],
    )
    async def test_a_bad_frame_is_one_error_and_not_the_end(self, stub, session_of, bad, reason, words):
        call, (first, last) = await _opened(stub, await session_of(SCALE)), _cubes(2)
        for message in (_frame(0, first), pb.StreamInferRequest(frame=bad), _frame(2, last)):
            await call.write(message)
        await call.done_writing()
        good, failed, after = await _rest(call)
        assert (failed.id, failed.error.code, failed.error.reason) == (1, 3, reason)
        assert words in failed.error.message
        assert not failed.outputs
        np.testing.assert_allclose(_values(good), _scaled(first), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(_values(after), _scaled(last), rtol=1e-4, atol=1e-6)

    async def test_a_fault_of_the_server_says_nothing_but_an_id(self, stub, session_of, monkeypatch):
        call, (cube, other) = await _opened(stub, await session_of(SCALE)), _cubes(2)
        with monkeypatch.context() as broken:
            broken.setattr(forward, "_compute", lambda *arguments: 1 / 0)
            await call.write(_frame(0, cube))
            failed = (await call.read()).result
        assert (failed.error.code, failed.error.reason) == (13, "INTERNAL")
        assert failed.error.message.startswith("internal error")
        assert "division" not in failed.error.message
        await call.write(_frame(1, other))
        _values((await call.read()).result)
        call.cancel()

    async def test_frames_that_fail_leave_nothing(self, stub, session_of, monkeypatch):
        call = await _opened(stub, await session_of(SCALE))
        read, frames = messages.read_inputs, []

        def remembered(*arguments):
            batch = read(*arguments)
            frames.append(weakref.ref(batch["data"]))
            return batch

        monkeypatch.setattr(StreamServicer.__module__ + ".read_inputs", remembered)
        gc.collect()
        gc.disable()
        try:
            for number in range(4):
                await call.write(_frame(number, _cubes(1)[0][0]))
                assert (await call.read()).result.error.reason == "INPUT_INVALID"
            assert [frame() for frame in frames[:3]] == [None, None, None]
        finally:
            gc.enable()
        call.cancel()

    async def test_a_replica_that_drains_opens_no_more(self, stub, session_of, service):
        service.streams.drain()
        code, words = await _ended(stub.StreamInfer(iter([_open(await session_of(SCALE))])))
        assert code == "UNAVAILABLE"
        assert "another one answers" in words

    async def test_only_outputs_that_there_are_can_be_asked_for(self, stub, session_of):
        call, (cube, _) = await _opened(stub, await session_of(SCALE), "scores"), _cubes(2)
        await call.write(_frame(0, cube))
        error = (await call.read()).result.error
        assert error.message == "the pipeline has no output 'scores'; it has node.normalized"
        call.cancel()

    async def test_a_memory_lives_with_its_stream(self, stub, session_of):
        session_id, cubes = await session_of(REMEMBERING), _cubes(3)
        mine, theirs = await _opened(stub, session_id), await _opened(stub, session_id)
        found = []
        for number, cube in enumerate(cubes):
            await mine.write(_frame(number, cube))
            found.append(_values((await mine.read()).result))
        await theirs.write(_frame(0, cubes[2]))
        fresh = _values((await theirs.read()).result)
        # The first frame of a stream is scaled by its own bounds, the others by those of all before them as well.
        np.testing.assert_allclose(fresh, _scaled(cubes[2]), rtol=1e-4, atol=1e-5)
        low, high = cubes.min(axis=(0, 1, 2, 3)), cubes.max(axis=(0, 1, 2, 3))
        np.testing.assert_allclose(found[2], (cubes[2] - low) / (high - low), rtol=1e-4, atol=1e-5)
        for call in (mine, theirs):
            call.cancel()

    async def test_frames_run_in_turn_where_nodes_have_a_memory(self, stub, session_of):
        session_id, cubes = await session_of(REMEMBERING), _cubes(8)

        async def results(at_once):
            call, found = await _opened(stub, session_id), []
            for number, cube in enumerate(cubes):
                await call.write(_frame(number, cube))
                if not at_once:
                    found.append(_values((await call.read()).result))
            await call.done_writing()
            return [*found, *map(_values, await _rest(call))]

        one_by_one, at_once = await results(False), await results(True)
        for one, other in zip(one_by_one, at_once, strict=True):
            np.testing.assert_array_equal(one, other)

    async def test_an_own_pipeline_goes_with_its_stream(self, stub, session_of, service, monkeypatch):
        from swath.engine.graph.pipeline import Pipeline

        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(Pipeline, "close", lambda pipeline: loop.call_soon_threadsafe(closed.set))
        call = await _opened(stub, await session_of(REMEMBERING))
        await call.write(_frame(0, _cubes(1)[0]))
        await call.read()
        assert (len(service.streams), service.runner.model_loads) == (1, 2)
        call.cancel()
        await closed.wait()
        assert len(service.streams) == 0

    async def test_a_stream_without_room_for_a_pipeline_of_its_own_is_told_so_by_frame(
        self, sessions, artifacts, workspace, session_of
    ):
        settings = InferenceSettings(device="cpu", frames_ahead=3, cache_bytes=2 * OVERHEAD + 10_000)
        service = InferenceService(settings, sessions, artifacts, workspace)
        await service.warm_up()
        async with serving(service) as server, _stub_of(server) as stub:
            session_id, (cube, _) = await session_of(REMEMBERING), _cubes(2)
            first, second = await _opened(stub, session_id), await _opened(stub, session_id)
            await first.write(_frame(0, cube))
            _values((await first.read()).result)
            assert service.runner.models == 2
            assert 2 * OVERHEAD < service.runner.model_bytes <= settings.cache_bytes
            await second.write(_frame(0, cube))
            error = (await second.read()).result.error
            assert (error.code, error.retry_after_s) == (8, 1.0)
            assert "a stream needs its own instance" in error.message
            # The other stream has one still, and its end makes room.
            await first.write(_frame(1, cube))
            _values((await first.read()).result)
            first.cancel()
            async with asyncio.timeout(20):
                while len(service.streams) > 1:  # noqa: ASYNC110  streams say so in no other way
                    await asyncio.sleep(0.01)
            await second.write(_frame(1, cube))
            _values((await second.read()).result)
            second.cancel()
        service.close()

    async def test_the_next_frame_runs_on_the_pipeline_that_the_session_has_then(self, stub, session_of):
        session_id, (cube, _) = await session_of(SCALE), _cubes(2)
        call = await _opened(stub, session_id)
        await call.write(_frame(0, cube))
        np.testing.assert_allclose(_values((await call.read()).result), _scaled(cube), rtol=1e-4, atol=1e-6)
        await session_of({"class_name": "cuvis_ai.node.normalization.IdentityNormalizer", "hparams": {}}, session_id)
        await call.write(_frame(1, cube))
        np.testing.assert_array_equal(_values((await call.read()).result), cube)
        call.cancel()

    @pytest.mark.parametrize("idle", [True, False])
    async def test_a_session_that_closes_ends_its_streams(self, stub, session_of, sessions, service, idle):
        session_id = await session_of(SCALE)
        call = await _opened(stub, session_id)
        if not idle:
            await call.write(_frame(0, _cubes(1)[0]))
            await call.read()
        await sessions.close(session_id)
        code, words = await _ended(call)
        assert code == "NOT_FOUND"
        assert f"Session {session_id} not found" in words
        assert len(service.streams) == 0
        assert service.runner.keys == ()

    async def test_a_replica_that_drains_answers_what_it_took_and_ends_its_streams(self, stub, session_of, service):
        session_id = await session_of(SCALE)
        idle, busy = await _opened(stub, session_id), await _opened(stub, session_id)
        go_on = threading.Event()
        service.runner.threads[0].later(lambda: go_on.wait(20))
        await busy.write(_frame(5, _cubes(1)[0]))
        async with asyncio.timeout(20):
            while not service.runner.waiting:  # noqa: ASYNC110  the queue says so in no other way
                await asyncio.sleep(0.01)
        service.streams.drain()
        code, words = await _ended(idle)
        assert code == "UNAVAILABLE"
        assert "open the stream again" in words
        go_on.set()
        assert (await busy.read()).result.id == 5
        assert (await _ended(busy))[0] == "UNAVAILABLE"

    @pytest.mark.parametrize(
        ("messages", "code", "words"),
        [
            ([], "INVALID_ARGUMENT", "first message must hold 'open', got none"),
            ([pb.StreamInferRequest()], "INVALID_ARGUMENT", "got one with nothing"),
            ([pb.StreamInferRequest(frame=pb.Frame())], "INVALID_ARGUMENT", "must hold 'open', got one with frame"),
            ([_open("nobody")], "NOT_FOUND", "Session nobody not found"),
        ],
    )
    async def test_a_stream_opens_with_a_session(self, stub, messages, code, words):
        call = stub.StreamInfer(iter(messages))
        found, said = await _ended(call)
        assert found == code
        assert words in said

    async def test_a_stream_is_opened_once(self, stub, session_of):
        session_id = await session_of(SCALE)
        call = await _opened(stub, session_id)
        await call.write(_frame(7, _cubes(1)[0]))
        await call.write(_open(session_id))
        # What came before the mistake is answered.
        assert (await call.read()).result.id == 7
        code, words = await _ended(call)
        assert code == "INVALID_ARGUMENT"
        assert "every message after the first must hold 'frame', got one with open" in words

    async def test_no_more_frames_are_taken_than_are_announced(self, stub, session_of, service, monkeypatch):
        taken, go_on = [], threading.Event()
        service.runner.threads[0].later(lambda: go_on.wait(20))
        infer = service.infer

        async def counted(*arguments, **named):
            taken.append(1)
            return await infer(*arguments, **named)

        monkeypatch.setattr(service, "infer", counted)
        call = await _opened(stub, await session_of(SCALE))
        for number, cube in enumerate(_cubes(6)):
            await call.write(_frame(number, cube))
        for _ in range(50):
            await asyncio.sleep(0.01)
        assert len(taken) == 3
        go_on.set()
        await call.done_writing()
        assert [result.id for result in await _rest(call)] == list(range(6))
        assert len(taken) == 6

    async def test_idle_streams_hold_no_thread_and_little_memory(self, stub, session_of, service):
        session_id = await session_of(SCALE)
        calls = [await _opened(stub, session_id)]
        gc.collect()
        before = threading.active_count()
        tracemalloc.start()
        # Both ends are in this process.
        calls += [await _opened(stub, session_id) for _ in range(100)]
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(service.streams) == 101
        # Pools of other parts may grow meanwhile; a hundred streams hold none of their threads.
        assert threading.active_count() - before < 5
        assert size < 5_000_000
        for call in calls:
            call.cancel()


def _header(session_id, shape, *outputs, **more):
    fields = {"input": "data", "shape": shape, "dtype": pb.D_TYPE_FLOAT32, **more}
    return pb.InferCubeRequest(header=pb.CubeHeader(session_id=session_id, outputs=outputs, **fields))


def _chunks(data, size=700):
    return [pb.InferCubeRequest(chunk=data[begin : begin + size]) for begin in range(0, len(data), size)]


RX = {"class_name": "cuvis_ai.node.anomaly.rx_detector.RXPerBatch", "hparams": {}}
IDENTITY = {"class_name": "cuvis_ai.node.normalization.IdentityNormalizer", "hparams": {}}


class TestCubes:
    async def _whole(self, call):
        """Return the plan of a cube and its outputs."""
        outputs, plan, ended = {}, None, False
        async for answer in call:
            match answer.WhichOneof("part"):
                case "plan":
                    plan = answer.plan
                case "output":
                    outputs[answer.output.index] = (answer.output, bytearray())
                case "chunk":
                    assert answer.chunk.offset == len(outputs[answer.chunk.index][1])
                    outputs[answer.chunk.index][1].extend(answer.chunk.data)
                case "end":
                    ended = True
        assert ended
        found = {
            each.name: np.frombuffer(bytes(data), np.float32).reshape(each.shape) for each, data in outputs.values()
        }
        return plan, found

    @pytest.mark.parametrize(
        ("node", "shape", "cut", "parts"),
        [
            # 1000 bytes are four rows of 240 bytes.
            (IDENTITY, (1, 30, 20, 3), pb.CUT_ROWS, 8),
            (IDENTITY, (3, 5, 20, 3), pb.CUT_ROWS, 6),
            (SCALE, (7, 2, 20, 3), pb.CUT_ITEMS, 4),
            (SCALE, (3, 6, 20, 3), pb.CUT_ITEMS, 3),
            (SCALE, (1, 30, 20, 3), pb.CUT_NONE, 1),
            (IDENTITY, (1, 2, 20, 3), pb.CUT_NONE, 1),
        ],
    )
    async def test_a_cube_gives_what_it_gives_in_one_message(self, stub, service, session_of, node, shape, cut, parts):
        session_id = await session_of(node)
        cube = np.random.default_rng(2).random(shape, dtype=np.float32)
        cube[0, 1, 3] = np.nan
        import torch

        whole = await service.infer(session_id, lambda: {"data": torch.from_numpy(cube)}, [], lambda outputs: outputs)
        plan, found = await self._whole(stub.InferCube(iter([_header(session_id, shape), *_chunks(cube.tobytes())])))
        assert plan is not None
        assert (plan.cut, plan.parts) == (cut, parts)
        assert found.keys() == whole.keys()
        for name, array in found.items():
            assert array.tobytes() == whole[name].numpy().tobytes()
            assert np.isnan(array).any()
        assert service.cubes.held == 0

    async def test_parts_are_computed_while_the_rest_arrives(self, stub, session_of):
        shape = (1, 30, 20, 3)
        call, data = stub.InferCube(), np.zeros(shape, np.float32).tobytes()
        await call.write(_header(await session_of(IDENTITY), shape))
        assert (await call.read()).plan.cut == pb.CUT_ROWS
        for chunk in _chunks(data[:1440]):
            await call.write(chunk)
        assert (await call.read()).output.name == "node.normalized"
        assert len((await call.read()).chunk.data) == 720
        call.cancel()

    @pytest.mark.parametrize(
        ("messages", "words"),
        [
            (lambda s: [], "must hold 'header', got none"),
            (lambda s: _chunks(bytes(100)), "must hold 'header', got one with chunk"),
            (lambda s: [_header(s, (1, 2, 3, 4)), _header(s, (1, 2, 3, 4))], "must hold 'chunk', got one with header"),
            (lambda s: [_header(s, (1, 2, 3, 4)), *_chunks(bytes(95))], "hold 95 bytes, expected 96 bytes"),
            (lambda s: [_header(s, (1, 2, 3, 4)), *_chunks(bytes(100))], "hold 100 bytes and more, expected 96"),
            (lambda s: [_header(s, (1, 2, 3, 4)), pb.InferCubeRequest(chunk=bytes((4 << 20) + 1))], "4194304 at most"),
            (lambda s: [_header(s, ())], r"expected a shape of sizes above 0, [B, H, W, ...], got []"),
            (lambda s: [_header(s, (1, 0, 3))], "got [1, 0, 3]"),
            (lambda s: [_header(s, (1, -1, 3))], "got [1, -1, 3]"),
            (lambda s: [_header(s, (1 << 40, 1 << 40))], "expected a shape"),
            (lambda s: [_header(s, (1, 2, 3, 4), dtype=0)], "data: Unsupported dtype: 0"),
            (lambda s: [_header(s, (1, 2, 3, 4), dtype=99)], "data: Unsupported dtype: 99"),
            (lambda s: [_header(s, (4,)), *_chunks(bytes(16))], "rank"),
            (lambda s: [_header(s, (1, 2, 3, 4), "scores")], "no output 'scores'; it has node.normalized"),
            (
                lambda s: [_header(s, (1, 1, 1, 1), inputs={"data": pb.Tensor(shape=[0], dtype=pb.D_TYPE_FLOAT32)})],
                "leave it out",
            ),
            (
                lambda s: [_header(s, (1, 1, 1, 1), inputs={"x": pb.Tensor(shape=[3], dtype=pb.D_TYPE_FLOAT32)})],
                "x: cannot reshape",
            ),
        ],
    )
    async def test_a_cube_that_makes_no_sense_is_refused_in_words(self, stub, service, session_of, messages, words):
        session_id = await session_of(SCALE)
        code, said = await _ended(stub.InferCube(iter(messages(session_id))))
        assert code == "INVALID_ARGUMENT"
        assert words in said
        assert service.cubes.held == 0

    async def test_a_cube_without_room_is_refused_before_it_is_sent(self, stub, service, session_of):
        code, words = await _ended(stub.InferCube(iter([_header(await session_of(SCALE), (1, 300, 30, 3))])))
        assert code == "RESOURCE_EXHAUSTED"
        assert "SWATH_INFERENCE_CUBE_BYTES" in words
        assert "this pipeline computes the whole cube at a time" in words

    async def test_another_pipeline_meanwhile_ends_it(self, stub, service, session_of):
        session_id, shape = await session_of(IDENTITY), (1, 30, 20, 3)
        call = stub.InferCube()
        await call.write(_header(session_id, shape))
        await call.read()
        await session_of(SCALE, session_id)
        # One: of a call that ends while it writes grpc.aio's client says INTERNAL.
        await call.write(pb.InferCubeRequest(chunk=bytes(7200)))
        code, words = await _ended(call)
        assert code == "ABORTED"
        assert "send the cube again" in words
        assert service.cubes.held == 0

    async def test_a_client_that_says_nothing_more_is_not_waited_for(self, stub, service, session_of):
        call = stub.InferCube()
        await call.write(_header(await session_of(IDENTITY), (1, 30, 20, 3)))
        code, words = await _ended(call)
        assert code == "DEADLINE_EXCEEDED"
        assert "SWATH_INFERENCE_CUBE_WAIT_S" in words
        assert service.cubes.held == 0

    async def test_a_client_that_does_not_read_is_not_waited_for(self, sessions, artifacts, workspace, session_of):
        settings = InferenceSettings(device="cpu", tile_bytes=MIB, cube_bytes=16 * MIB, unread_s=0.5, cube_wait_s=20)
        service = InferenceService(settings, sessions, artifacts, workspace)
        await service.warm_up()
        most, read_on = 0, threading.Event()
        shape = (1, 2048, 1024, 3)  # 24 MiB, far above what is on the way when nobody reads.
        messages = [_header(await session_of(IDENTITY), shape), *_chunks(bytes(24 * MIB), MIB)]

        def client():
            # Blocking: an asyncio one that writes has its own word, INTERNAL, for a call that ends meanwhile.
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                call: Any = inference_pb2_grpc.InferenceServiceStub(channel).InferCube(iter(messages))
                assert next(call).plan.cut == pb.CUT_ROWS
                assert read_on.wait(30)
                with pytest.raises(grpc.RpcError) as caught:
                    list(call)
                return cast(Any, caught.value)

        async with serving(service) as server:
            calling = asyncio.create_task(asyncio.to_thread(client))
            async with asyncio.timeout(30):
                while not most or service.cubes.held:
                    most = max(most, service.cubes.held)
                    await asyncio.sleep(0.01)
            # All of it is free, although the client has read nothing yet.
            assert (len(service._calls), service.runner.waiting) == (0, 0)
            # Three parts that came in, and no more of their outputs.
            assert 3 * MIB < most <= 6 * MIB
            read_on.set()
            error = await calling
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "the client has left an answer unread for 0.5 s (SWATH_INFERENCE_UNREAD_S)"
        service.close()

    async def test_a_client_that_reads_slowly_gets_everything(self, sessions, artifacts, workspace, session_of):
        settings = InferenceSettings(device="cpu", tile_bytes=MIB, cube_bytes=6 * MIB, unread_s=20)
        service = InferenceService(settings, sessions, artifacts, workspace)
        await service.warm_up()
        async with serving(service) as server, _stub_of(server) as stub:
            shape = (1, 2048, 512, 3)
            cube = np.random.default_rng(1).random(shape, dtype=np.float32)
            call = stub.InferCube(iter([_header(await session_of(IDENTITY), shape), *_chunks(cube.tobytes(), MIB)]))
            await asyncio.sleep(0.5)
            _, found = await self._whole(call)
            assert found["node.normalized"].tobytes() == cube.tobytes()
        assert service.cubes.held == 0
        service.close()

    async def test_a_client_that_leaves_in_the_middle_frees_everything(self, stub, service, session_of):
        shape = (1, 30, 20, 3)
        call = stub.InferCube()
        await call.write(_header(await session_of(IDENTITY), shape))
        await call.read()
        for chunk in _chunks(bytes(5000)):
            await call.write(chunk)
        assert service.cubes.held > 0
        call.cancel()
        for _ in range(1000):
            if not (service.cubes.held or service._calls or service.runner.waiting):
                break
            await asyncio.sleep(0.01)
        assert (service.cubes.held, len(service._calls), service.runner.waiting) == (0, 0, 0)
