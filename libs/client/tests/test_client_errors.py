"""What a call that fails is raised as: the class by the status, the rest by the details."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from swath.client import (
    AlreadyExistsError,
    AsyncClient,
    CallError,
    CancelledError,
    Client,
    ClientConfig,
    ClientError,
    CodecError,
    ConflictError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    LocalError,
    MissingPackageError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    SceneError,
    TransferError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    call_error,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc as pb_grpc

CLASSES = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "OUT_OF_RANGE": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "FAILED_PRECONDITION": PreconditionError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "RESOURCE_EXHAUSTED": ExhaustedError,
    "ABORTED": ConflictError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "CANCELLED": CancelledError,
    "UNIMPLEMENTED": UnsupportedError,
    "INTERNAL": CallError,
    "UNKNOWN": CallError,
    "DATA_LOSS": CallError,
}


class Refusing(pb_grpc.CuvisAIServiceServicer):
    """Refuses StopTrain with the status that the session is named by, and answers GetTrainStatus when it may."""

    def __init__(self) -> None:
        self.details: list[any_pb2.Any] = []
        self.text = "no"
        self.may_answer = threading.Event()

    def StopTrain(self, request: pb.StopTrainRequest, context: grpc.ServicerContext) -> pb.StopTrainResponse:
        if self.details:
            code = code_pb2.Code.Value(request.session_id)
            status = status_pb2.Status(code=code, message=self.text, details=self.details)
            context.abort_with_status(rpc_status.to_status(status))
        context.abort(grpc.StatusCode[request.session_id], self.text)
        return pb.StopTrainResponse()

    def GetTrainStatus(self, request: object, context: grpc.ServicerContext) -> pb.GetTrainStatusResponse:
        self.may_answer.wait(30)
        return pb.GetTrainStatusResponse()


@pytest.fixture
def refusing() -> Refusing:
    return Refusing()


@pytest.fixture
def target(refusing: Refusing) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_CuvisAIServiceServicer_to_server(refusing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    refusing.may_answer.set()
    server.stop(None).wait()


def _refused(target: str, code: str) -> CallError:
    with Client(target) as client, pytest.raises(CallError) as caught:
        client.attach(code).stop()
    return caught.value


def _packed(detail: object) -> any_pb2.Any:
    message = any_pb2.Any()
    message.Pack(detail)  # type: ignore[arg-type]
    return message


@pytest.mark.parametrize(("code", "kind"), CLASSES.items())
def test_each_status_has_its_class_and_keeps_its_name(target: str, code: str, kind: type[CallError]) -> None:
    error = _refused(target, code)
    assert type(error) is kind
    assert (error.code, error.reason, error.message, error.method) == (code, code, "no", "StopTrain")


@pytest.mark.parametrize("code", ["NOT_FOUND", "OUT_OF_RANGE", "DATA_LOSS"])
async def test_the_asyncio_client_raises_the_same(target: str, code: str) -> None:
    async with AsyncClient(target) as client:
        with pytest.raises(CallError) as caught:
            await client.attach(code).stop()
    assert type(caught.value) is CLASSES[code]
    assert str(caught.value) == f"StopTrain: no [{code}]"


def test_a_status_without_words_is_said_in_its_own(target: str, refusing: Refusing) -> None:
    refusing.text = ""
    assert str(_refused(target, "RESOURCE_EXHAUSTED")) == "StopTrain: resource exhausted [RESOURCE_EXHAUSTED]"


def test_reason_and_facts_come_from_error_info_and_the_delay_from_retry_info(target: str, refusing: Refusing) -> None:
    info = error_details_pb2.ErrorInfo(reason="RUN_QUOTA", domain="swath", metadata={"limit": "2"})
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(250)
    refusing.details = [_packed(info), _packed(retry)]
    error = _refused(target, "RESOURCE_EXHAUSTED")
    assert (error.reason, error.metadata, error.retry_after_s) == ("RUN_QUOTA", {"limit": "2"}, 0.25)
    assert str(error) == "StopTrain: no [RUN_QUOTA]"


def test_details_of_another_kind_are_passed_over(target: str, refusing: Refusing) -> None:
    refusing.details = [_packed(error_details_pb2.DebugInfo(detail="stack"))]
    error = _refused(target, "NOT_FOUND")
    assert (error.reason, error.metadata, error.retry_after_s) == ("NOT_FOUND", {}, None)


def test_an_answer_that_does_not_come_in_time_is_a_deadline_error(target: str) -> None:
    with Client(ClientConfig(target=target, timeout_s=0.1)) as client, pytest.raises(DeadlineError) as caught:
        client.attach("s1").status()
    assert caught.value.method == "GetTrainStatus"


async def test_an_answer_that_does_not_come_in_time_is_one_for_asyncio_too(target: str) -> None:
    async with AsyncClient(ClientConfig(target=target, timeout_s=0.1)) as client:
        with pytest.raises(DeadlineError):
            await client.attach("s1").status()


def test_a_method_that_the_server_lacks_is_unsupported(target: str) -> None:
    with Client(target) as client, pytest.raises(UnsupportedError) as caught:
        client.open_session()
    assert (caught.value.code, caught.value.method) == ("UNIMPLEMENTED", "CreateSession")


def _broken(code: grpc.StatusCode, details: str, trailing: tuple = ()) -> SimpleNamespace:
    """A failed call, as gRPC gives it."""
    return SimpleNamespace(code=lambda: code, details=lambda: details, trailing_metadata=lambda: trailing)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.7:1: Failed to connect to remote "
            "host: connect: Connection refused (111)",
            "no server answers at swath:1 (connection refused)",
        ),
        (
            "failed to connect to all addresses; last error: INTERNAL: ssl handshake failed;",
            "no server answers at swath:1 (ssl handshake failed)",
        ),
        (
            "DNS resolution failed for swath:1: C-ares status is not ARES_SUCCESS",
            "no server answers at swath:1 (DNS resolution failed for swath:1: C-ares status is not ARES_SUCCESS)",
        ),
        ("the server is draining", "the server is draining"),
    ],
)
def test_what_a_person_can_use_of_a_connection_s_failure_is_said(details: str, message: str) -> None:
    error = call_error(_broken(grpc.StatusCode.UNAVAILABLE, details), target="swath:1")
    assert error.message == message


def test_a_server_s_own_words_about_a_connection_stay(target: str, refusing: Refusing) -> None:
    refusing.text = "the training service cannot be resolved"
    refusing.details = [_packed(error_details_pb2.ErrorInfo(reason="PEER_AWAY"))]
    assert str(_refused(target, "UNAVAILABLE")) == "StopTrain: the training service cannot be resolved [PEER_AWAY]"


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED])
def test_a_stream_that_was_reset_on_its_way_is_unavailable(code: grpc.StatusCode) -> None:
    error = call_error(_broken(code, "Received RST_STREAM with error code 2"))
    assert (type(error), error.code) == (UnavailableError, "UNAVAILABLE")
    assert error.message == "the stream was cut on its way (Received RST_STREAM with error code 2)"


def test_a_message_that_finds_the_connection_gone_is_unavailable() -> None:
    # What grpc.aio invents where a write fails before the status of the call has arrived.
    error = call_error(_broken(grpc.StatusCode.INTERNAL, "Internal error from Core"))
    assert (type(error), error.code) == (UnavailableError, "UNAVAILABLE")


def test_a_server_that_cancels_is_not_taken_for_a_reset() -> None:
    assert type(call_error(_broken(grpc.StatusCode.CANCELLED, "the run was stopped"))) is CancelledError


@pytest.mark.parametrize("kind", [CodecError, SceneError, MissingPackageError, TransferError])
def test_what_goes_wrong_on_this_side_is_a_local_error(kind: type[ClientError]) -> None:
    assert issubclass(kind, LocalError)
    assert not issubclass(kind, CallError)


def test_an_array_without_a_form_on_the_wire_is_a_value_error_too() -> None:
    assert issubclass(CodecError, ValueError)


@pytest.fixture(scope="module")
def echo() -> Iterator[Callable[..., CallError]]:
    """Sends a message to a server that sends one back; returns the error. Limits are in MiB, by side and direction."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        return bytes(int(request[:1]) << 20)

    handler = grpc.method_handlers_generic_handler("echo", {"Echo": grpc.unary_unary_rpc_method_handler(answer)})
    stops = []

    def call(sent: int, received: int, *, server: int, client: int) -> CallError:
        sides = []
        for limit in (server, client):
            keys = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
            sides.append([(key, limit << 20) for key in keys])
        serving = grpc.server(ThreadPoolExecutor(1), handlers=[handler], options=sides[0])
        port = serving.add_insecure_port("127.0.0.1:0")
        serving.start()
        stops.append(serving)
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=sides[1]) as channel:
            request = str(received).encode() + bytes((sent << 20) - 1)
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/echo/Echo")(request)
        return call_error(caught.value)

    yield call
    for serving in stops:
        serving.stop(None)


@pytest.mark.parametrize(
    ("limits", "sizes", "said"),
    [
        ({"server": 2, "client": 9}, (3, 1), "the request has 3.0 MiB, more than the 2.0 MiB that the server takes"),
        ({"server": 2, "client": 9}, (1, 3), "the answer has 3.0 MiB, more than the 2.0 MiB that the server takes"),
        ({"server": 9, "client": 2}, (3, 1), "the request has 3.0 MiB, more than the 2.0 MiB that this client takes"),
        ({"server": 9, "client": 2}, (1, 3), "the answer has 3.0 MiB, more than the 2.0 MiB that this client takes"),
    ],
    ids=["server takes less", "server sends less", "client sends less", "client takes less"],
)
def test_a_message_that_is_too_large_says_which_setting_of_which_side_to_raise(
    echo: Callable[..., CallError], limits: dict[str, int], sizes: tuple[int, int], said: str
) -> None:
    error = echo(*sizes, **limits)
    assert isinstance(error, ExhaustedError)
    assert said in error.message
    assert "SWATH_MAX_MESSAGE_BYTES" in error.message
    assert ("--max-message-mb" in error.message) == (limits["client"] == 2)
