"""What refused calls leave behind in the server's memory: nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath_standalone.process import ServerProcess

MIB = 1 << 20
PAYLOAD = 40 * MIB
CALLS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    # One arena: memory that each of gRPC's threads keeps for the next call is not what this is about.
    with ServerProcess(tmp_path_factory.mktemp("state"), environment={"MALLOC_ARENA_MAX": "1"}) as process:
        yield process


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> Iterator[Any]:
    limits = [("grpc.max_send_message_length", 2 * PAYLOAD)]
    with grpc.insecure_channel(server.target, options=limits) as channel:
        stub: Any = cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
        stub.channel = channel
        yield stub


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _large(session: str) -> pb.InferenceRequest:
    """A request whose cube is so large that the server keeps it where it arrived."""
    data = np.zeros(PAYLOAD // 4, np.float32).tobytes()
    cube = pb.Tensor(shape=[PAYLOAD // 4], dtype=pb.D_TYPE_FLOAT32, raw_data=data)
    return pb.InferenceRequest(session_id=session, inputs=pb.InputBatch(cube=cube))


def _no_session(stub: Any) -> None:
    stub.Inference(_large("gone"), timeout=60)


def _no_pipeline(stub: Any) -> None:
    session = stub.CreateSession(pb.CreateSessionRequest()).session_id
    try:
        stub.Inference(_large(session), timeout=60)
    finally:
        stub.CloseSession(pb.CloseSessionRequest(session_id=session))


def _no_request(stub: Any) -> None:
    stub.channel.unary_unary("/cuvis_ai.v1.CuvisAIService/Inference")(b"\xff" * PAYLOAD, timeout=60)


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (_no_session, grpc.StatusCode.NOT_FOUND),
        (_no_pipeline, grpc.StatusCode.FAILED_PRECONDITION),
        (_no_request, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_refused_calls_keep_nothing_of_their_requests(
    server: ServerProcess, stub: Any, refused: Callable[[Any], None], code: grpc.StatusCode
) -> None:
    def refuse() -> None:
        with pytest.raises(grpc.RpcError) as caught:
            refused(stub)
        assert caught.value.code() is code

    refuse()
    after_one = _resident_bytes(server.pid)
    highest = 0
    for _ in range(CALLS):
        refuse()
        highest = max(highest, _resident_bytes(server.pid))
    # Room for what gRPC and the allocator keep for the next call.
    assert (highest - after_one) / PAYLOAD < 5
