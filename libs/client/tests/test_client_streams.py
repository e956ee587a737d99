"""Streams of frames that are larger than what a connection holds, each with a result of its size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
import numpy as np
import pytest

from swath.client import AsyncClient, Client, ClientConfig
from swath.inference.v1 import inference_pb2 as pb
from swath.inference.v1.inference_pb2_grpc import InferenceServiceServicer, add_InferenceServiceServicer_to_server

EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it

AHEAD = 2
FRAMES = 6
SIZE = 2 * 1024**2
"""Elements of 4 bytes."""
GUARD_S = 60
"""Ends a test in which both sides wait for one another."""


class Echo(InferenceServiceServicer):
    """Takes some frames ahead, as a server does whose memory is bounded, and reads on once a result is written."""

    async def StreamInfer(self, request_iterator: AsyncIterator[Any], context: Any) -> None:
        await context.read()
        await context.write(pb.StreamInferResponse(opened=pb.Opened(frames_ahead=AHEAD)))
        due: asyncio.Queue[pb.Frame | None] = asyncio.Queue()
        room = asyncio.Semaphore(AHEAD)

        async def read() -> None:
            await room.acquire()
            while (message := await context.read()) is not EOF:
                due.put_nowait(message.frame)
                await room.acquire()
            due.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (frame := await due.get()) is not None:
                result = pb.Result(id=frame.id, outputs={"echo.data": frame.inputs["data"]})
                await context.write(pb.StreamInferResponse(result=result))
                room.release()
        finally:
            reader.cancel()


@pytest.fixture
async def config() -> AsyncIterator[ClientConfig]:
    """How a client reaches the server, whose connections hold a few KiB at any time."""
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Otherwise a fast machine's connection comes to hold whole frames, and no test meets its end.
        ("grpc.http2.bdp_probe", 0),
    ]
    server = grpc.aio.server(options=options)
    add_InferenceServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield ClientConfig(target=f"127.0.0.1:{port}", health_service=None)
    await server.stop(None)


def frame(number: int) -> np.ndarray:
    return np.full(SIZE, number, np.float32)


async def test_frames_and_results_do_not_wait_for_one_another(config: ClientConfig) -> None:
    found = []
    async with asyncio.timeout(GUARD_S), AsyncClient(config) as client, client.stream("s1") as stream:
        async for result in stream.run({"data": frame(number)} for number in range(FRAMES)):
            np.testing.assert_array_equal(result.value().only("data"), frame(result.id))
            found.append(result.id)
    assert found == list(range(FRAMES))


async def test_as_many_frames_as_the_server_takes_ahead_are_sent_before_a_result_is_read(config: ClientConfig) -> None:
    async with asyncio.timeout(GUARD_S), AsyncClient(config) as client, client.stream("s1") as stream:
        for number in range(stream.frames_ahead):
            assert await stream.send(data=frame(number)) == number
        for number in range(stream.frames_ahead):
            result = await stream.receive()
            np.testing.assert_array_equal(result.value().only("data"), frame(number))


async def test_a_blocking_stream_keeps_what_the_server_does_not_take_yet(config: ClientConfig) -> None:
    def run() -> list[int]:
        with Client(config) as client, client.stream("s1") as stream:
            found = []
            for number in range(FRAMES):
                stream.send(data=frame(number))
            for number in range(FRAMES):
                result = stream.receive()
                np.testing.assert_array_equal(result.value().only("data"), frame(number))
                found.append(result.id)
            return found + [result.id for result in stream.run({"data": frame(0)} for _ in range(FRAMES))]

    assert await asyncio.wait_for(asyncio.to_thread(run), GUARD_S) == list(range(2 * FRAMES))
