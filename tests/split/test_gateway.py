"""The suite through its one address."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from swath.api import PUBLIC, SERVICES
from swath.client import Client, build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.suite import Suite

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_main_job_runs_through_it(suite: Suite) -> None:
    demo = [sys.executable, str(REPOSITORY / "examples" / "demo"), "--target", suite.target]
    done = subprocess.run(demo, capture_output=True, text=True, cwd=suite.layout.folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "",
        *PUBLIC,
        *(service.health_name for service in SERVICES),
    ],
)
def test_health_knows_every_name(suite: Suite, name: str) -> None:
    with grpc.insecure_channel(suite.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_error_says_as_much_as_at_the_service_itself(suite: Suite) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        build_stub(suite.target).Inference(pb.InferenceRequest(session_id="nobody's"))
    failed: Any = raised.value
    status: Any = rpc_status.from_call(failed)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (failed.code(), info.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")


@pytest.mark.parametrize(
    "method", ["/cuvis_ai.v1.CuvisAIService/Nothing", "/swath.session.v1.SessionAuthority/ReadSessions"]
)
def test_what_is_not_public_is_not_there(suite: Suite, method: str) -> None:
    with grpc.insecure_channel(suite.target) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(method)(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_of_250_megabytes_streams_through(suite: Suite, client: Client) -> None:
    session_id = build_stub(suite.target).CreateSession(pb.CreateSessionRequest()).session_id
    cube = np.zeros((1, 512, 512, 250), np.float32)
    tensor = pb.Tensor(shape=cube.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=cube.tobytes())
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(suite.target, options=options) as channel, pytest.raises(grpc.RpcError) as raised:
        request = pb.InferenceRequest(session_id=session_id, inputs=pb.InputBatch(cube=tensor))
        channel.unary_unary(
            "/cuvis_ai.v1.CuvisAIService/Inference",
            request_serializer=pb.InferenceRequest.SerializeToString,
            response_deserializer=pb.InferenceResponse.FromString,
        )(request)
    # It arrived: the session has no pipeline.
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_grpc_web_is_spoken(suite: Suite) -> None:
    request = urllib.request.Request(
        f"http://{suite.target}/cuvis_ai.v1.CuvisAIService/CreateSession",
        data=b"\0\0\0\0\0",
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
    length = int.from_bytes(body[1:5])
    assert len(pb.CreateSessionResponse.FromString(body[5 : 5 + length]).session_id) == 36
    assert b"grpc-status:0" in body[5 + length :]


def test_calls_leave_a_line_with_their_status(suite: Suite, client: Client) -> None:
    with client.session():
        pass
    closed: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while not closed:  # Envoy writes its lines down from time to time
        assert time.monotonic() < deadline
        time.sleep(0.2)
        text = suite.processes["gateway"].log.read_text()
        # The last line may be half written.
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line[:1] == "{" and line[-1:] == "\n"]
        closed = [line for line in lines if (line["method"] or "").endswith("/CloseSession")]
    assert closed[-1]["grpc_status"] == "OK"
    assert closed[-1]["service"] == "session"
