"""Regions of shared memory after calls that the server has not answered: it may still write there."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import (
    AsyncClient,
    CallError,
    CancelledError,
    Client,
    ClientConfig,
    DeadlineError,
    ExhaustedError,
    LocalError,
    RetryConfig,
    Session,
    UnavailableError,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc as pb_grpc
from swath.errors import Exhausted, SwathError, TimedOut
from swath.inference.v1 import shared_memory_pb2, shared_memory_pb2_grpc
from swath.rpc.shared_memory import output_place
from swath.rpc.status import DETAILS_KEY, code_of, details_of

DATA = np.arange(64 * 1024, dtype=np.float32)
SHAPE = DATA.shape


class SlowServer(pb_grpc.CuvisAIServiceServicer, shared_memory_pb2_grpc.SharedMemoryServiceServicer):
    """Doubles data in shared memory.

    Attributes:
        end: How the next call ends instead of with an answer.
        goes_on: Whether it writes outputs all the same, at the worst time: before the call after it is answered.
        begun: Set when a call has read its inputs.
        regions: How many were made.
    """

    def __init__(self) -> None:
        self.end: Callable[[grpc.ServicerContext], Any] | None = None
        self.goes_on = True
        self.begun = threading.Event()
        self.regions = 0
        self._files: dict[str, Any] = {}
        self._late: list[Callable[[], None]] = []

    def Acquire(
        self, request: shared_memory_pb2.AcquireRequest, context: grpc.ServicerContext
    ) -> Iterator[shared_memory_pb2.AcquireResponse]:
        ended = threading.Event()
        context.add_callback(ended.set)
        self.regions += 1
        name = f"region-{self.regions}"
        with tempfile.NamedTemporaryFile() as file:
            os.truncate(file.fileno(), request.byte_size)
            self._files[name] = np.memmap(file, np.uint8, "r+")
            inode = os.fstat(file.fileno()).st_ino
            yield shared_memory_pb2.AcquireResponse(name=name, byte_size=request.byte_size, path=file.name, inode=inode)
            ended.wait()

    def Inference(self, request: pb.InferenceRequest, context: grpc.ServicerContext) -> pb.InferenceResponse:
        place = output_place(context.invocation_metadata())
        assert place is not None
        memory = self._files[place.name]
        given = request.inputs.extra_inputs["data"].shm_ref
        inputs = memory[given.byte_offset :][: given.byte_size].view(np.float32)
        outputs = memory[place.byte_offset :][: place.byte_size].view(np.float32)
        doubled = 2 * inputs
        self.begun.set()
        if self.end is not None:
            end, self.end = self.end, None
            if self.goes_on:
                self._late.append(lambda: outputs.fill(-1))
            end(context)
            return pb.InferenceResponse()
        tensor = pb.Tensor(shape=SHAPE, dtype=pb.D_TYPE_FLOAT32)
        if len(outputs) < len(doubled):
            tensor.raw_data = doubled.tobytes()
        else:
            outputs[: len(doubled)] = doubled
            there = pb.ShmRef(name=place.name, byte_offset=place.byte_offset, byte_size=doubled.nbytes)
            tensor.shm_ref.CopyFrom(there)
        while self._late:
            self._late.pop()()
        return pb.InferenceResponse(outputs={"double.out": tensor})


Slow = tuple[SlowServer, ClientConfig]


@pytest.fixture
def slow() -> Iterator[Slow]:
    """The server, and how a client of its machine reaches it."""
    servicer = SlowServer()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_CuvisAIServiceServicer_to_server(servicer, server)
    shared_memory_pb2_grpc.add_SharedMemoryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    target = f"127.0.0.1:{port}"
    yield servicer, ClientConfig(target=target, shared_memory=True, health_service=None, retry=RetryConfig(attempts=1))
    server.stop(None).wait()


def aborted(code: grpc.StatusCode) -> Callable[[grpc.ServicerContext], Any]:
    """An end as gRPC itself, or a proxy, makes it."""
    return lambda context: context.abort(code, "not the server's own word")


def refused(error: SwathError) -> Callable[[grpc.ServicerContext], Any]:
    """An end as the server makes it."""

    def refuse(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(((DETAILS_KEY, details_of(error)),))
        context.abort(code_of(error), error.message)

    return refuse


def warmed(session: Session) -> None:
    """Have the session's region leave room for outputs, which the client knows after the first answer."""
    for _ in range(2):
        np.testing.assert_array_equal(session.infer(data=DATA).only("out"), 2 * DATA)


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (aborted(grpc.StatusCode.DEADLINE_EXCEEDED), DeadlineError),
        (aborted(grpc.StatusCode.UNAVAILABLE), UnavailableError),
        (aborted(grpc.StatusCode.CANCELLED), CancelledError),
        (aborted(grpc.StatusCode.INTERNAL), CallError),
        (aborted(grpc.StatusCode.RESOURCE_EXHAUSTED), ExhaustedError),
        (refused(TimedOut("the deadline passed")), DeadlineError),
    ],
    ids=["deadline", "unavailable", "cancelled", "internal", "exhausted", "the server's deadline"],
)
def test_outputs_that_come_late_are_in_no_later_answer(slow: Slow, end: Any, error: type[CallError]) -> None:
    servicer, config = slow
    with Client(config) as client:
        session = client.attach("s1")
        warmed(session)
        servicer.end = end
        with pytest.raises(error):
            session.infer(data=DATA)
        np.testing.assert_array_equal(session.infer(data=DATA).only("out"), 2 * DATA)


async def test_nor_are_those_of_a_task_that_was_cancelled(slow: Slow) -> None:
    servicer, config = slow
    gone = threading.Event()

    def wait(context: grpc.ServicerContext) -> None:
        if context.add_callback(gone.set):
            gone.wait()

    async with AsyncClient(config) as client:
        session = client.attach("s1")
        for _ in range(2):
            np.testing.assert_array_equal((await session.infer(data=DATA)).only("out"), 2 * DATA)
        servicer.end = wait
        servicer.begun.clear()
        task = asyncio.create_task(session.infer(data=DATA))
        assert await asyncio.to_thread(servicer.begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(gone.wait, 60)
        np.testing.assert_array_equal((await session.infer(data=DATA)).only("out"), 2 * DATA)


def test_nor_are_those_of_a_call_that_was_interrupted(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    servicer, config = slow
    with Client(config) as client:
        session = client.attach("s1")
        warmed(session)
        servicer.end = aborted(grpc.StatusCode.CANCELLED)
        # Where a signal would raise it is up to chance: in any place between the request and the answer.
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("swath.client.errors.call_error", _interrupt)
            session.infer(data=DATA)
        np.testing.assert_array_equal(session.infer(data=DATA).only("out"), 2 * DATA)


def _interrupt(*_: object, **__: object) -> CallError:
    raise KeyboardInterrupt


def test_a_call_that_the_server_has_refused_leaves_the_region_as_it_is(slow: Slow) -> None:
    servicer, config = slow
    servicer.goes_on = False
    with Client(config) as client:
        session = client.attach("s1")
        warmed(session)
        made = servicer.regions
        servicer.end = refused(Exhausted("the queue is full"))
        with pytest.raises(ExhaustedError):
            session.infer(data=DATA)
        with pytest.raises(LocalError, match="gave no output"):
            session.infer(data=DATA, outputs=["absent"])
        np.testing.assert_array_equal(session.infer(data=DATA).only("out"), 2 * DATA)
        assert servicer.regions == made
