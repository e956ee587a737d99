"""What every method does for whoever calls it wrongly, or leaves: found by reflection, so that new ones are here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from swath.api import CUVIS, WORKSPACE
from swath.api.descriptors import find_service
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.health.v1 import health_pb2 as whole_health
from swath.health.v1 import health_pb2_grpc as whole_health_grpc
from swath.workspace.v1 import workspace_pb2, workspace_pb2_grpc
from swath_standalone.process import ServerProcess

TIMEOUT_S = 20.0
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
ENDLESS = {"/grpc.health.v1.Health/Watch"}
"""Methods whose streams only their client ends."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of these tests' own: they read its log."""
    with ServerProcess(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(scope="module")
def channel(process: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(process.target) as made:
        yield made


@pytest.fixture(scope="module")
def methods(channel: grpc.Channel) -> dict[str, tuple[bool, bool]]:
    """Every method that reflection lists: whether its requests and whether its answers are streams, by path."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**question: Any) -> Any:
        return next(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)])))

    found: dict[str, tuple[bool, bool]] = {}
    for service in ask(list_services="").list_services_response.service:
        files = ask(file_containing_symbol=service.name).file_descriptor_response.file_descriptor_proto
        for each in map(descriptor_pb2.FileDescriptorProto.FromString, files):
            for described in each.service:
                if f"{each.package}.{described.name}" == service.name:
                    for method in described.method:
                        streams = method.client_streaming, method.server_streaming
                        found[f"/{service.name}/{method.name}"] = streams
    assert len(found) >= 28 + 6 + 1 + 2 + 3 + 2
    return found


def _end(channel: grpc.Channel, path: str, messages: list[bytes]) -> grpc.StatusCode:
    """Call a method with so many messages, whatever its kind, read one answer, and return how it ended."""
    call = channel.stream_stream(path)(iter(messages), timeout=TIMEOUT_S)
    try:
        for _ in call:
            if path in ENDLESS:
                return grpc.StatusCode.OK
        return call.code()
    except grpc.RpcError as error:
        return error.code()
    finally:
        call.cancel()


@pytest.mark.parametrize("messages", [[b""], []], ids=["an empty message", "no message"])
def test_every_method_answers_or_refuses_who_has_no_session(
    channel: grpc.Channel, methods: dict[str, tuple[bool, bool]], messages: list[bytes]
) -> None:
    ends = {path: _end(channel, path, messages) for path in methods}
    assert {path: code for path, code in ends.items() if code in (*FAULTS, grpc.StatusCode.DEADLINE_EXCEEDED)} == {}
    if not messages:
        # gRPC's code for a wrong number of requests.
        alone = {code for path, code in ends.items() if not methods[path][0]}
        assert alone == {grpc.StatusCode.UNIMPLEMENTED}


@pytest.mark.parametrize("path", ["x" * 5000, "a/" * 3000 + "b", "x" * 300, "x" * 300 + ".yaml"], ids=len)
def test_no_error_of_a_long_path_shows_a_folder_of_the_server(
    process: ServerProcess, channel: grpc.Channel, path: str
) -> None:
    session = CuvisAIServiceStub(channel).CreateSession(pb.CreateSessionRequest(), timeout=TIMEOUT_S).session_id
    texts = {}
    for service in (CUVIS, WORKSPACE):
        for method in find_service(service).methods:
            if method.name in ("CreateSession", "CloseSession", "SetSessionSearchPaths"):
                continue
            request: Any = message_factory.GetMessageClass(method.input_type)()
            for field in method.input_type.fields:
                if field.type == field.TYPE_STRING and not field.is_repeated:
                    setattr(request, field.name, session if field.name == "session_id" else path)
            if method.name == "Put":
                request.header.path = path
            try:
                call = channel.stream_stream(f"/{service}/{method.name}")
                list(call(iter([request.SerializeToString()]), timeout=TIMEOUT_S))
            except grpc.RpcError as error:
                assert error.code() not in FAULTS
                texts[method.name] = error.details()
    assert len(texts) > 10
    folders = str(process.state), str(Path(__file__).resolve().parents[2])
    assert {name: text for name, text in texts.items() if any(folder in text for folder in folders)} == {}


def test_health_lists_every_name_with_its_status(channel: grpc.Channel) -> None:
    health: Any = whole_health_grpc.HealthStub(channel)
    statuses = health.List(whole_health.HealthListRequest(), timeout=TIMEOUT_S).statuses
    assert {"", "swath.session", "swath.inference", "cuvis_ai.v1.CuvisAIService"} <= statuses.keys()
    for name, listed in statuses.items():
        assert listed.status == health.Check(whole_health.HealthCheckRequest(service=name), timeout=TIMEOUT_S).status


def test_uploads_that_are_cancelled_leave_no_error_in_the_log(process: ServerProcess, channel: grpc.Channel) -> None:
    stub: Any = workspace_pb2_grpc.WorkspaceServiceStub(channel)
    before = len(Path(process.log).read_text())
    for number in range(60):
        left, sent = threading.Event(), threading.Event()

        def parts(
            number: int = number, left: threading.Event = left, sent: threading.Event = sent
        ) -> Iterator[workspace_pb2.PutRequest]:
            header = workspace_pb2.PutHeader(path=f"cut/{number}", size=1 << 20, sha256="0" * 64)
            yield workspace_pb2.PutRequest(header=header)
            yield workspace_pb2.PutRequest(chunk=b"x" * 1000)
            sent.set()
            left.wait(TIMEOUT_S)

        call = stub.Put.future(parts(), timeout=TIMEOUT_S)
        assert sent.wait(TIMEOUT_S)
        time.sleep(0.01 + 0.002 * (number % 5))
        call.cancel()
        left.set()
    stub.List(workspace_pb2.ListRequest(), timeout=TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while (written := Path(process.log).read_text()[before:]).count("code=CANCELLED") < 50:
        assert time.monotonic() < deadline, written[-2000:]
        time.sleep(0.1)
    assert "Traceback" not in written
    assert "[error" not in written
    assert written.count("code=CANCELLED") >= 50
