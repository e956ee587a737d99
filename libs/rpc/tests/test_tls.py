"""Servers and channels with mutual TLS: who gets in."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import CUVIS
from swath.errors import InvalidInput
from swath.rpc.tls import tls_files
from swath.runtime.auth.certificates import Authority
from swath.runtime.settings import ServerSettings
from swath.session.v1 import session_pb2 as pb
from swath.session.v1.session_pb2_grpc import SessionAuthorityStub

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def _read(channel: grpc.aio.Channel) -> pb.ReadSessionsResponse:
    return await SessionAuthorityStub(channel).ReadSessions(pb.ReadSessionsRequest(), timeout=10)


async def _refused(channel: grpc.aio.Channel) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read(channel)
    return caught.value.code()


async def test_a_service_with_a_certificate_gets_in(session_service, connect, authority: Authority):
    server = await session_service()
    assert await _read(connect(server, authority.issue_service("inference"))) == pb.ReadSessionsResponse()


async def test_a_certificate_of_another_ca_does_not(session_service, connect, authority: Authority, tmp_path):
    server = await session_service()
    stranger = Authority(tmp_path / "other").issue_service("inference")
    assert await _refused(connect(server, stranger)) is UNAVAILABLE
    # Not even one that trusts this server.
    pair = [(stranger / name).read_bytes() for name in ("tls.key", "tls.crt")]
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes(), *pair)
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        assert await _refused(channel) is UNAVAILABLE


async def test_an_expired_certificate_does_not(session_service, connect, authority: Authority, tmp_path):
    server = await session_service()
    expired = Authority(authority.ca.parent, days=-1 / 1440).issue_service("inference")
    assert await _refused(connect(server, expired)) is UNAVAILABLE


async def test_an_expired_server_is_not_believed(session_service, connect, authority: Authority):
    folder = Authority(authority.ca.parent, days=-1 / 1440).issue_service("session")
    tls = {"tls_cert": folder / "tls.crt", "tls_key": folder / "tls.key", "tls_ca": folder / "ca.crt"}
    server = await session_service(tls=tls)
    assert await _refused(connect(server, authority.issue_service("inference"))) is UNAVAILABLE


async def test_nobody_gets_in_without_a_certificate(session_service, authority: Authority):
    server = await session_service()
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        assert await _refused(channel) is UNAVAILABLE


async def test_nobody_gets_in_by_plain_text(session_service, connect):
    server = await session_service()
    assert await _refused(connect(server, None)) is UNAVAILABLE


async def test_a_service_that_pretends_to_be_another_is_not_believed(session_service, connect, authority: Authority):
    server = await session_service()
    channel = connect(server, authority.issue_service("inference"), "training")
    assert await _refused(channel) is UNAVAILABLE


async def test_health_is_watched_through_a_channel(session_service, connect, authority: Authority):
    server = await session_service()
    stub: Any = health_pb2_grpc.HealthStub(connect(server, authority.issue_service("gateway")))
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="swath.session"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_probes_ask_health_in_plain_text_and_nothing_else(session_service, unused_tcp_port: int):
    server = await session_service(health_port=unused_tcp_port)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.health_port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="swath.session"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{CUVIS}/CreateSession")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_key_that_does_not_fit_is_refused_with_both_names(authority: Authority):
    session, training = authority.issue_service("session"), authority.issue_service("training")
    settings = ServerSettings(tls_cert=session / "tls.crt", tls_key=training / "tls.key", tls_ca=session / "ca.crt")
    with pytest.raises(InvalidInput, match=r"session/tls.crt and .*training/tls.key"):
        tls_files(settings)


def test_a_missing_file_is_named(authority: Authority, tmp_path: Path):
    folder = authority.issue_service("session")
    settings = ServerSettings(tls_cert=folder / "tls.crt", tls_key=tmp_path / "no.key", tls_ca=folder / "ca.crt")
    with pytest.raises(InvalidInput, match=r"no\.key"):
        tls_files(settings)
