"""Answers byte by byte: what libraries of clients hide."""

import asyncio

import grpc
import pytest

from . import raw


class App:
    def __init__(self, probe) -> None:
        self.answer = probe.pb.Answer

    async def Unary(self, request, grpc_context):
        grpc_context.set_code(request.number)
        grpc_context.set_details(request.what)
        return self.answer(number=1)


@pytest.fixture
async def call(served, probe):
    server = await served()
    server.applications.deploy("app", App(probe))

    async def call(body=b"", metadata=None, path="/wire.probe.Probe/Unary"):
        return await asyncio.to_thread(raw.call, str(server.front.address), path, body, metadata)

    return call


async def test_details_go_with_ok(call, probe):
    answer = await call(probe.pb.Ask(what="foo found.").SerializeToString(), [(b"request_id", b"1")])
    assert answer.trailer(b"grpc-status") == b"0"
    assert answer.trailer(b"grpc-message") == b"foo found."
    assert answer.data == b"\0\0\0\0\2" + probe.pb.Answer(number=1).SerializeToString()
    assert [key for key, _ in answer.trailers if not key.startswith(b"grpc-")] == [b"request_id"]


async def test_details_are_percent_encoded(call, probe):
    answer = await call(probe.pb.Ask(what="é, 100 %\nend", number=9).SerializeToString())
    assert answer.trailer(b"grpc-status") == b"9"
    assert answer.trailer(b"grpc-message") == b"%C3%A9, 100 %25%0Aend"
    assert answer.data == b""


async def test_the_message_of_healthz(call):
    answer = await call(path="/ray.serve.RayServeAPIService/Healthz")
    assert answer.data == b"\0\0\0\0\x09\x0a\x07success"
    assert answer.trailer(b"grpc-message") == b"success"
    assert [key for key, _ in answer.trailers] == [b"grpc-status", b"grpc-message"]


@pytest.mark.parametrize("key", [b"request_id", b"application", b"multiplexed_model_id"])
async def test_bytes_that_are_no_text_end_the_call_and_not_the_server(call, key):
    answer = await call(metadata=[(key, b"\xc3\xa9\xff")])
    assert answer.reset is not None or answer.trailer(b"grpc-status") != b"0" or key != b"request_id"
    assert (await call()).trailer(b"grpc-status") == b"0"


async def test_request_id_first_where_there_are_trailers_alone(call):
    answer = await call(metadata=[(b"application", b"nobody"), (b"request_id", b"1")])
    assert answer.trailer(b"grpc-status") == str(grpc.StatusCode.NOT_FOUND.value[0]).encode()
    own = [pair for pair in answer.trailers if not pair[0].startswith((b"grpc-", b":", b"content-type"))]
    assert own[0] == (b"request_id", b"1")
