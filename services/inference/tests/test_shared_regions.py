"""Regions of shared memory that the server makes, as clients see them: over a real server, and from other processes."""

import asyncio
import ctypes
import fcntl
import mmap
import os
import signal
import sys
import textwrap
import threading
from typing import Any, cast

import grpc
import numpy as np
import pytest

from swath.api import CUVIS, SHARED_MEMORY
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.errors import InputInvalid, QuotaExceeded, Unavailable
from swath.inference.v1 import shared_memory_pb2, shared_memory_pb2_grpc
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.rpc.shared_memory import output_metadata
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath_inference import InferenceServicer
from swath_inference.protocols.cuvis.shared import SharedMemory
from swath_inference.protocols.shared_memory.servicer import SharedMemoryServicer
from swath_inference.shm import regions as making
from swath_inference.shm.regions import OutputPlace, Regions
from swath_inference.shm.service import RegionService

pytestmark = pytest.mark.skipif(not hasattr(fcntl, "F_SEAL_SEAL"), reason="Linux has sealed memory")

DATA = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
# Each channel holds 0, 2, 4, 6 above its least.
NORMALIZED = [value for third in (0, 1, 2, 3) for value in (third / 3,) * 2]
PAGE = mmap.PAGESIZE
EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it


@pytest.fixture
async def connect(service, profiling, sessions):
    """Starts a server with some regions, and gives a channel to it and the regions."""
    started = []

    async def start(*, limit=1 << 24, session_limit=1 << 20, idle_s=60.0, local=True):
        regions = Regions(limit, session_limit, idle_s)
        memory = SharedMemory(regions, local=local)
        handlers = [
            slice_handler(CUVIS, "inference", InferenceServicer(service, profiling, memory=memory)),
            slice_handler(
                SHARED_MEMORY, "inference", SharedMemoryServicer(RegionService(sessions, regions), local=local)
            ),
        ]
        server = Server(
            ServerSettings(port=0, drain_grace_s=1), handlers, (CUVIS, SHARED_MEMORY), HealthBoard(("inference",))
        )
        await server.start()
        channel = cast(Any, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        channel.target = f"127.0.0.1:{server.port}"
        started.append((server, channel, regions))
        return channel, regions

    yield start
    HELD.clear()
    for server, channel, regions in started:
        regions.end_all()
        await channel.close()
        await server.drain()


# Calls that hold regions: one that nobody refers to is cancelled.
HELD = []


def _acquire(channel, session_id, size=PAGE):
    request = shared_memory_pb2.AcquireRequest(session_id=session_id, byte_size=size)
    HELD.append(shared_memory_pb2_grpc.SharedMemoryServiceStub(channel).Acquire(request))
    return HELD[-1]


def _mapped(region):
    with open(region.path, "r+b") as file:
        assert os.fstat(file.fileno()).st_ino == region.inode
        return mmap.mmap(file.fileno(), region.byte_size)


def _request(session_id, region, offset=0):
    place = pb.ShmRef(name=region.name, byte_offset=offset, byte_size=DATA.nbytes)
    tensor = pb.Tensor(shape=DATA.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=place)
    return pb.InferenceRequest(session_id=session_id, inputs=pb.InputBatch(extra_inputs={"data": tensor}))


async def _refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


async def _eventually(true):
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


async def test_a_tensor_is_read_from_a_region_and_the_answer_is_written_into_it(connect, normalizing):
    channel, _ = await connect()
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    memory = _mapped(region)
    memory[64 : 64 + DATA.nbytes] = DATA.tobytes()
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)

    answer = await stub.Inference(_request(session_id, region, 64), metadata=output_metadata(region.name, 1000, 200))

    tensor = answer.outputs["node.normalized"]
    assert tensor.raw_data == b""
    place = tensor.shm_ref
    # The first place of the part that a tensor may begin at.
    assert (place.name, place.byte_offset, place.byte_size) == (region.name, 1024, DATA.nbytes)
    assert np.frombuffer(memory, np.float32, 8, 1024).tolist() == pytest.approx(NORMALIZED)
    assert memory[:64] == bytes(64)
    assert memory[1024 + DATA.nbytes :] == bytes(PAGE - 1024 - DATA.nbytes)


async def test_what_there_is_no_room_for_comes_in_the_answer(connect, normalizing):
    channel, _ = await connect()
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    _mapped(region)[: DATA.nbytes] = DATA.tobytes()
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    answer = await stub.Inference(_request(session_id, region), metadata=output_metadata(region.name, 0, 31))
    tensor = answer.outputs["node.normalized"]
    assert np.frombuffer(tensor.raw_data, np.float32).tolist() == pytest.approx(NORMALIZED)


async def test_a_region_cannot_be_shrunk_or_grown_by_a_client(connect, normalizing):
    channel, _ = await connect()
    region = await _acquire(channel, await normalizing()).read()
    for size in (0, 1, 2 * PAGE):
        with pytest.raises(PermissionError):
            os.truncate(region.path, size)
    assert len(_mapped(region)) == PAGE


async def test_a_client_that_cuts_holes_into_a_region_finds_zeros_and_the_server_goes_on(connect, normalizing):
    channel, _ = await connect()
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    _mapped(region)[:] = b"\x01" * PAGE
    handle = os.open(region.path, os.O_RDWR)
    keep_size_and_punch_hole = 3
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.fallocate(handle, keep_size_and_punch_hole, ctypes.c_long(0), ctypes.c_long(PAGE)) == 0
    os.close(handle)
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    answer = await stub.Inference(_request(session_id, region))
    assert set(np.frombuffer(answer.outputs["node.normalized"].raw_data, np.float32)) == {0.0}


async def test_a_region_is_one_session_s(connect, normalizing):
    channel, _ = await connect()
    mine, theirs = await normalizing(), await normalizing()
    region = await _acquire(channel, theirs).read()
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    for call in (
        stub.Inference(_request(mine, region)),
        stub.Inference(pb.InferenceRequest(session_id=mine), metadata=output_metadata(region.name, 0, 8)),
    ):
        code, text = await _refused(call)
        assert code == "FAILED_PRECONDITION"
        assert "another session's" in text


@pytest.mark.parametrize("offset", [PAGE - 28, PAGE, 2**62])
async def test_places_outside_of_a_region_are_refused(connect, normalizing, offset):
    channel, _ = await connect()
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    for call in (
        stub.Inference(_request(session_id, region, offset)),
        stub.Inference(_request(session_id, region), metadata=output_metadata(region.name, offset, 32)),
    ):
        code, text = await _refused(call)
        assert code == "INVALID_ARGUMENT"
        assert f"has {PAGE} bytes, expected {offset + 32}" in text


async def test_outputs_go_to_regions_that_there_are(connect, normalizing):
    channel, _ = await connect()
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    code, text = await _refused(
        stub.Inference(_request(session_id, region), metadata=output_metadata("swath-none", 0, 8))
    )
    assert (code, "'swath-none'" in text) == ("NOT_FOUND", True)
    broken = (("swath-shm-output-bin", b"\xff"),)
    assert (await _refused(stub.Inference(_request(session_id, region), metadata=broken)))[0] == "INVALID_ARGUMENT"


async def test_a_region_ends_with_its_call(connect, normalizing):
    channel, regions = await connect()
    session_id = await normalizing()
    call = _acquire(channel, session_id)
    region = await call.read()
    assert regions.size == PAGE
    call.cancel()
    await _eventually(lambda: not len(regions))
    assert (regions.size, regions.sessions) == (0, set())
    with pytest.raises((OSError, AssertionError)):
        _mapped(region)
    stub = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    assert (await _refused(stub.Inference(_request(session_id, region))))[0] == "NOT_FOUND"


async def test_a_region_ends_with_a_client_that_is_killed(connect, normalizing):
    channel, regions = await connect()
    session_id, other = await normalizing(), await normalizing()
    kept = await _acquire(channel, other).read()
    client = textwrap.dedent(
        f"""
        import grpc, mmap, time
        from swath.inference.v1 import shared_memory_pb2, shared_memory_pb2_grpc
        stub = shared_memory_pb2_grpc.SharedMemoryServiceStub(grpc.insecure_channel("{channel.target}"))
        request = shared_memory_pb2.AcquireRequest(session_id="{session_id}", byte_size=4096)
        for region in stub.Acquire(request):
            file = open(region.path, "r+b")
            memory = mmap.mmap(file.fileno(), 4096)
            print("mapped", flush=True)
        """
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", client, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"mapped\n"
    assert len(regions) == 2
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await _eventually(lambda: len(regions) == 1)
    assert regions.find(kept.name, other) is not None


async def test_a_region_that_no_request_names_ends(connect, normalizing):
    channel, regions = await connect(idle_s=0.2)
    call = _acquire(channel, await normalizing())
    assert await call.read()
    assert await call.read() is EOF
    assert not len(regions)


async def test_a_region_that_is_used_stays(connect, normalizing):
    channel, regions = await connect(idle_s=2.0)
    session_id = await normalizing()
    region = await _acquire(channel, session_id).read()
    made = regions.find(region.name, session_id)
    assert made is not None
    for _ in range(5):
        await asyncio.sleep(0.6)
        assert regions.find(region.name, session_id) is made


async def test_regions_end_with_their_session(connect, sessions, normalizing):
    channel, regions = await connect()
    session_id = await normalizing()
    sessions.on_close(RegionService(sessions, regions).forget, lambda: regions.sessions)
    call = _acquire(channel, session_id)
    await call.read()
    await sessions.close(session_id)
    assert await call.read() is EOF
    assert not len(regions)


async def test_there_are_as_many_bytes_as_a_session_and_the_server_may_have(connect, normalizing):
    channel, regions = await connect(limit=5 * PAGE, session_limit=3 * PAGE)
    one, two = await normalizing(), await normalizing()
    held = [_acquire(channel, one, 2 * PAGE), _acquire(channel, two, 2 * PAGE)]
    for call in held:
        await call.read()
    code, text = await _refused(anext(aiter(_acquire(channel, one, 2 * PAGE))))
    assert code == "RESOURCE_EXHAUSTED"
    assert f"{2 * PAGE} of {3 * PAGE} bytes of shared memory in this session" in text
    third = await normalizing()
    code, text = await _refused(anext(aiter(_acquire(channel, third, 2 * PAGE))))
    assert code == "RESOURCE_EXHAUSTED"
    assert f"{4 * PAGE} of {5 * PAGE} bytes of shared memory on this server" in text
    assert regions.size == 4 * PAGE


async def test_regions_are_for_sessions_that_there_are_and_have_bytes(connect, normalizing):
    channel, _ = await connect()
    assert (await _refused(anext(aiter(_acquire(channel, "nobody")))))[0] == "NOT_FOUND"
    code, text = await _refused(anext(aiter(_acquire(channel, await normalizing(), 0))))
    assert (code, "byte_size" in text) == ("INVALID_ARGUMENT", True)


async def test_behind_a_gateway_there_are_none(connect, normalizing):
    channel, _ = await connect(local=False)
    code, text = await _refused(anext(aiter(_acquire(channel, await normalizing()))))
    assert (code, "same host" in text) == ("FAILED_PRECONDITION", True)


async def test_memory_that_a_call_still_reads_outlives_its_region():
    regions = Regions(PAGE, PAGE, 60.0)
    region = await regions.make("s", PAGE)
    tensor = np.frombuffer(region.part(0, 8, name="cube"), np.uint8)
    regions.end(region)
    assert tensor.tolist() == [0] * 8
    with pytest.raises(QuotaExceeded):
        await regions.make("s", PAGE + 1)
    assert regions.size == 0


async def test_outputs_lie_beside_one_another_where_vectors_may_begin():
    regions = Regions(PAGE, PAGE, 60.0)
    region = await regions.make("s", PAGE)
    place = OutputPlace(region, 10, 311)
    assert [place.put(memoryview(bytes([size]) * size)) for size in (3, 64, 100, 100, 1)] == [
        64,
        128,
        192,
        None,
        320,
    ]
    with pytest.raises(InputInvalid):
        OutputPlace(region, PAGE, 1)
    regions.end(region)


async def test_what_a_call_that_left_had_begun_to_make_is_given_back(monkeypatch):
    made, go_on, sealed = [], threading.Event(), making._sealed

    def slow(size):
        go_on.wait(20)
        made.append(sealed(size))
        return made[-1]

    monkeypatch.setattr(making, "_sealed", slow)
    few = Regions(PAGE, PAGE, 60.0)
    left = asyncio.ensure_future(few.make("session", PAGE))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    # As long as its pages may come to be, they count.
    with pytest.raises(QuotaExceeded):
        await few.make("session", PAGE)
    go_on.set()
    async with asyncio.timeout(20):
        while few.size:  # noqa: ASYNC110  the thread says so in no other way
            await asyncio.sleep(0.01)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made[0][0])


async def test_a_server_that_goes_makes_no_more():
    few = Regions(PAGE, PAGE, 60.0)
    few.end_all()
    with pytest.raises(Unavailable, match="goes away"):
        await few.make("session", PAGE)
