"""System shared memory: what clients register, what lies in it, and what they do to it."""

import asyncio
import os
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np
import pytest

from swath.errors import Exhausted, FileMissing, Precondition
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath_inference.protocols.oip.messages import MemoryReference
from swath_inference.protocols.oip.shared_memory import Client, SystemSharedMemory
from swath_inference.shm.registered import Registered

from .conftest import raw_input, refusal

pytestmark = pytest.mark.timeout(60)

CUBE = np.random.default_rng(7).random((2, 2, 2, 3), dtype=np.float32)
SIZE = CUBE.nbytes


class Segment:
    """A segment of shared memory."""

    def __init__(self, content, name=""):
        self.name = name or f"swath-test-{uuid.uuid4().hex}"
        self.path = f"/dev/shm/{self.name}"
        with open(self.path, "wb") as file:
            file.write(content)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()


@pytest.fixture
def segment():
    """Makes segments, which are removed after the test."""
    made = []

    def make(content=b"\xaa" * 4096, name=""):
        made.append(Segment(content, name))
        return made[-1]

    yield make
    for each in made:
        with suppress(FileNotFoundError):
            os.unlink(each.path)


def _register(stub, name, segment, offset=0, size=4096):
    return stub.SystemSharedMemoryRegister(
        pb.SystemSharedMemoryRegisterRequest(name=name, key=segment.name, offset=offset, byte_size=size)
    )


async def _status(stub, name=""):
    answer = await stub.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest(name=name))
    return {key: (each.name, each.key, each.offset, each.byte_size) for key, each in answer.regions.items()}


def _place(tensor, region, size, offset=0):
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = size
    if offset:
        tensor.parameters["shared_memory_offset"].int64_param = offset


def _request(region=None, offset=0, *, out=None, out_size=SIZE, out_offset=0, size=SIZE):
    request = pb.ModelInferRequest(model_name="scale")
    each = request.inputs.add(name="data", datatype="FP32", shape=CUBE.shape)
    if region is not None:
        _place(each, region, size, offset)
    else:
        request.raw_input_contents.append(CUBE.tobytes())
    if out is not None:
        _place(request.outputs.add(name="node.normalized"), out, out_size, out_offset)
    return request


async def _expected(door):
    return (await door.infer(**raw_input(CUBE))).raw_output_contents[0]


class TestRegions:
    async def test_what_is_registered_is_listed_until_it_is_taken_back(self, door, segment):
        place = segment()
        await _register(door.stub, "a", place)
        await _register(door.stub, "b", place, 10, 20)
        assert await _status(door.stub) == {"a": ("a", place.name, 0, 4096), "b": ("b", place.name, 10, 20)}
        assert await _status(door.stub, "b") == {"b": ("b", place.name, 10, 20)}
        for name, left in (("a", ["b"]), ("unknown", ["b"]), ("", [])):
            await door.stub.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest(name=name))
            assert list(await _status(door.stub)) == left

    async def test_what_is_refused(self, door, segment):
        place = segment()
        await _register(door.stub, "a", place)
        assert (await refusal(_register(door.stub, "a", place)))[0] == "ALREADY_EXISTS"
        assert (await refusal(_status(door.stub, "zz")))[0] == "NOT_FOUND"
        missing = pb.SystemSharedMemoryRegisterRequest(name="b", key="swath-test-none", byte_size=1)
        code, text = await refusal(door.stub.SystemSharedMemoryRegister(missing))
        assert (code, "Unable to open shared memory region" in text) == ("INVALID_ARGUMENT", True)
        for key in ("/etc/passwd", "../etc/passwd", ""):
            request = pb.SystemSharedMemoryRegisterRequest(name="b", key=key, byte_size=1)
            assert (await refusal(door.stub.SystemSharedMemoryRegister(request)))[0] == "INVALID_ARGUMENT"
        for offset, size in ((0, 4097), (4096, 1), (2**64 - 1, 2**64 - 1), (0, 0)):
            assert (await refusal(_register(door.stub, "b", place, offset, size)))[0] == "INVALID_ARGUMENT"

    async def test_a_key_may_begin_with_a_slash(self, door, segment):
        place = segment()
        request = pb.SystemSharedMemoryRegisterRequest(name="a", key=f"/{place.name}", byte_size=1)
        await door.stub.SystemSharedMemoryRegister(request)
        assert (await _status(door.stub))["a"][1] == f"/{place.name}"

    async def test_what_one_client_takes_back_is_its_own(self, door, segment):
        place = segment(CUBE.tobytes())
        await _register(door.stub, "a", place, 0, SIZE)
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(door.target, options=options) as channel:
            other = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert await _status(other) == {}
            await _register(other, "a", segment(bytes(SIZE)), 0, SIZE)
            await other.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest())
            # One without such a name of its own may use that of another connection of the same caller.
            assert (await other.ModelInfer(_request("a"))).raw_output_contents[0] == await _expected(door)
        assert list(await _status(door.stub)) == ["a"]


class TestTensors:
    async def test_inputs_and_outputs_lie_where_the_request_says(self, door, segment):
        # Registered at an offset that is no page's, which counts once.
        place = segment(b"\xaa" * 7 + b"\xaa" * 3 + CUBE.tobytes() + b"\xaa" * 300)
        await _register(door.stub, "r", place, 7, 300)
        response = await door.stub.ModelInfer(_request("r", 3, out="r", out_offset=3 + SIZE + 1, out_size=SIZE + 5))
        [output] = response.outputs
        assert list(response.raw_output_contents) == [b""]
        assert output.parameters["shared_memory_region"].string_param == "r"
        assert output.parameters["shared_memory_byte_size"].int64_param == SIZE
        assert output.parameters["shared_memory_offset"].int64_param == 3 + SIZE + 1
        begin = 7 + 3 + SIZE + 1
        found = place.read()
        assert found[begin : begin + SIZE] == await _expected(door)
        # And nothing beside it.
        assert found[:10] == b"\xaa" * 10
        assert found[10 : 10 + SIZE] == CUBE.tobytes()
        assert set(found[begin - 1 : begin] + found[begin + SIZE :]) == {0xAA}

    async def test_one_in_shared_memory_and_the_other_in_the_request(self, door, segment):
        place = segment(bytes(SIZE))
        await _register(door.stub, "r", place, 0, SIZE)
        response = await door.stub.ModelInfer(_request(out="r"))
        assert (list(response.raw_output_contents), place.read()) == ([b""], await _expected(door))

    @pytest.mark.parametrize(
        ("request_", "code", "text"),
        [
            (_request("zz"), "NOT_FOUND", "Unable to find shared memory region: 'zz'"),
            (_request(out="zz"), "NOT_FOUND", "Unable to find shared memory region: 'zz'"),
            (_request("r", 4001), "INVALID_ARGUMENT", "Invalid offset + byte size for shared memory region: 'r'"),
            (_request("r", 2**62), "INVALID_ARGUMENT", "Invalid offset + byte size"),
            (_request("r", size=SIZE - 4), "INVALID_ARGUMENT", f"Expected {SIZE}, got {SIZE - 4}"),
            (_request("r", size=2**62), "INVALID_ARGUMENT", f"Expected {SIZE}"),
            (_request(out="r", out_size=8), "INVALID_ARGUMENT", f"(8 bytes) should be at least {SIZE} bytes"),
            (_request(out="r", out_size=5000), "INVALID_ARGUMENT", "Invalid offset + byte size"),
        ],
    )
    async def test_what_is_refused(self, door, segment, request_, code, text):
        place = segment()
        await _register(door.stub, "r", place)
        found, said = await refusal(door.stub.ModelInfer(request_))
        assert (found, text in said) == (code, True)
        assert set(place.read()) == {0xAA}

    async def test_classes_go_into_no_shared_memory(self, door, segment):
        await _register(door.stub, "r", segment())
        request = _request(out="r")
        request.outputs[0].parameters["classification"].int64_param = 1
        assert (await refusal(door.stub.ModelInfer(request)))[0] == "INVALID_ARGUMENT"

    async def test_a_segment_that_shrank_is_an_error_and_ends_nobody(self, door, segment):
        place = segment(CUBE.tobytes())
        await _register(door.stub, "r", place, 0, SIZE)
        os.truncate(place.path, 8)
        for request in (_request("r"), _request(out="r")):
            code, text = await refusal(door.stub.ModelInfer(request))
            assert (code, "has 8 bytes" in text) == ("INVALID_ARGUMENT", True)
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1

    async def test_a_segment_that_was_unlinked_stays_and_another_of_its_name_is_not_taken_for_it(self, door, segment):
        place = segment(CUBE.tobytes() + bytes(SIZE))
        await _register(door.stub, "r", place, 0, 2 * SIZE)
        mine = os.open(place.path, os.O_RDONLY)
        os.unlink(place.path)
        other = segment(b"\xee" * 2 * SIZE, place.name)
        response = await door.stub.ModelInfer(_request("r", out="r", out_offset=SIZE))
        assert list(response.raw_output_contents) == [b""]
        assert os.pread(mine, SIZE, SIZE) == await _expected(door)
        os.close(mine)
        assert set(other.read()) == {0xEE}
        # It is the other one from when that is registered on.
        await door.stub.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest(name="r"))
        await _register(door.stub, "r", other, 0, SIZE)
        assert (await door.stub.ModelInfer(_request("r"))).raw_output_contents[0] != await _expected(door)

    async def test_a_segment_that_shrinks_again_and_again_while_calls_use_it_ends_nobody(self, door, segment):
        place, on = segment(CUBE.tobytes() + bytes(SIZE)), asyncio.Event()
        await _register(door.stub, "r", place, 0, 2 * SIZE)

        async def shake():
            while not on.is_set():
                os.truncate(place.path, SIZE // 2)
                await asyncio.sleep(0)
                os.truncate(place.path, 2 * SIZE)
                await asyncio.sleep(0)

        shaking = asyncio.create_task(shake())
        for _ in range(200):
            try:
                await door.stub.ModelInfer(_request("r", out="r", out_offset=SIZE))
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        on.set()
        await shaking
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1

    async def test_a_name_that_is_taken_back_meanwhile_does_not_matter(self, door, segment):
        memory, client = SystemSharedMemory(offered=True, free=True), Client(None, "c", True)
        place = segment(b"abcd")
        memory.register(client, Registered("r", place.name, 0, 4))
        read = memory.reader(client, MemoryReference("r", 1, 2), "data")
        write = memory.writer(client, MemoryReference("r", 0, 4), "scores")
        memory.unregister(client)
        assert bytes(read()) == b"bc"
        write(memoryview(b"xy"))
        assert place.read() == b"xycd"


class TestClients:
    async def test_another_machine_has_none(self, segment):
        memory = SystemSharedMemory(offered=True, free=True)
        with pytest.raises(Precondition, match="same host"):
            memory.register(Client(None, "ipv4:10.0.0.1:1", False), Registered("r", segment().name, 0, 1))

    async def test_who_is_known_names_segments_of_its_own(self, segment):
        memory, alice = SystemSharedMemory(offered=True), Client("alice", "c", True)
        with pytest.raises(Precondition, match="swath-alice"):
            memory.register(alice, Registered("r", segment().name, 0, 1))
        mine = segment(name=f"swath-alice-{uuid.uuid4().hex}")
        memory.register(alice, Registered("r", mine.name, 0, 1))
        with pytest.raises(FileMissing):
            memory.reader(Client("bob", "c", True), MemoryReference("r", 0, 1), "data")
        assert bytes(memory.reader(Client("alice", "d", True), MemoryReference("r", 0, 1), "data")()) == b"\xaa"

    async def test_the_oldest_of_very_many_connections_loses_its_names(self, segment):
        memory, place = SystemSharedMemory(offered=True, free=True), segment()
        clients = [Client(None, str(number), True) for number in range(300)]
        for client in clients:
            memory.register(client, Registered("r", place.name, 0, 1))
        assert memory.listed(clients[0]) == []
        assert len(memory.listed(clients[-1])) == 1

    async def test_what_a_client_that_died_has_unlinked_is_freed_after_a_while(self, segment):
        now = [0.0]
        memory = SystemSharedMemory(offered=True, free=True, clock=lambda: now[0])
        dead, living = Client(None, "dead", True), Client(None, "living", True)
        unlinked, kept, used = (segment() for _ in range(3))
        for client, name, place in ((dead, "a", unlinked), (dead, "b", kept), (living, "c", used)):
            memory.register(client, Registered(name, place.name, 0, 4096))
        for place in (unlinked, used):
            os.unlink(place.path)
        open_files = _open_files(unlinked.name)
        now[0] = 599.0
        memory.reader(living, MemoryReference("c", 0, 1), "data")
        memory.forget_unlinked()
        assert _open_files(unlinked.name) == open_files == 1
        now[0] = 601.0
        memory.forget_unlinked()
        assert _open_files(unlinked.name) == 0
        assert [each.name for each in memory.listed(dead)] == ["b"]
        assert [each.name for each in memory.listed(living)] == ["c"]

    async def test_a_client_that_is_killed_leaves_its_regions_to_others_of_its_caller_and_harms_nobody(
        self, door, segment
    ):
        place = segment(CUBE.tobytes())
        script = f"""
import grpc, time
from swath.inference import open_inference_pb2 as pb, open_inference_pb2_grpc
stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel({door.target!r}))
stub.SystemSharedMemoryRegister(pb.SystemSharedMemoryRegisterRequest(name="r", key={place.name!r}, byte_size={SIZE}))
print("registered", flush=True)
time.sleep(60)
"""
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert await client.stdout.readline() == b"registered\n"
        client.kill()
        await client.wait()
        assert (await door.stub.ModelInfer(_request("r"))).raw_output_contents[0] == await _expected(door)
        assert await _status(door.stub) == {}

    async def test_there_are_as_many_regions_as_the_server_can_hold_open(self, segment, monkeypatch):
        monkeypatch.setattr("swath_inference.protocols.oip.shared_memory._MOST_REGIONS", 3)
        now = [0.0]
        memory, place = SystemSharedMemory(offered=True, free=True, clock=lambda: now[0]), segment()
        for number in range(3):
            memory.register(Client(None, str(number), True), Registered("r", place.name, 0, 1))
        with pytest.raises(Exhausted, match="'s': clients have registered 3, as many as there may be"):
            memory.register(Client(None, "4", True), Registered("s", place.name, 0, 1))
        # What nobody will ever take back makes room.
        os.unlink(place.path)
        now[0] = 601.0
        memory.register(Client(None, "4", True), Registered("s", segment().name, 0, 1))


def _open_files(name):
    """Return how often this process has a segment open."""
    links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(name in link for link in links)
