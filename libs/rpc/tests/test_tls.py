"""Servers and channels with mutual TLS: who gets in, and certificates that change under load."""

import asyncio
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


async def _load(channel: grpc.aio.Channel, until: asyncio.Event) -> list[Any]:
    """Call all the time, what gRPC does not make again by itself; return how each call ended."""
    stub, ends = SessionAuthorityStub(channel), []
    while not until.is_set():
        try:
            await stub.AddSession(pb.AddSessionRequest(), timeout=10)
            ends.append("OK")
        except grpc.aio.AioRpcError as error:
            ends.append((error.code(), error.details()))
    return ends


async def _under_load(channels: list[grpc.aio.Channel], change: Any) -> list[Any]:
    done = asyncio.Event()
    load = [asyncio.create_task(_load(channel, done)) for channel in channels]
    try:
        await change()
    finally:
        done.set()
        ends = [end for each in await asyncio.gather(*load) for end in each]
    return ends


async def test_certificates_change_under_load_without_a_failed_call(session_service, connect, authority: Authority):
    # Connections end all the time, so that new ones meet each new certificate.
    server = await session_service(max_connection_age_s=0.3)
    channels = [connect(server, authority.issue_service("pipeline")) for _ in range(2)]

    async def rotate() -> None:
        for _ in range(6):
            await asyncio.to_thread(authority.rotate)
            await asyncio.sleep(0.5)

    first = [channel.connection for channel in channels]  # pyright: ignore[reportAttributeAccessIssue]
    ends = await _under_load(channels, rotate)
    assert len(ends) > 100
    assert set(ends) == {"OK"}
    assert all(channel.connection is not was for channel, was in zip(channels, first, strict=True))  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_ca_rolls_over_under_load_without_a_failed_call(session_service, connect, authority: Authority):
    server = await session_service(max_connection_age_s=0.3)
    old_client = authority.issue_service("training")
    channel = connect(server, authority.issue_service("pipeline"))
    kept = {name: (old_client / name).read_bytes() for name in ("tls.crt", "tls.key")}

    async def roll_over() -> None:
        for step in (authority.roll, authority.rotate, authority.retire):
            await asyncio.to_thread(step)
            await asyncio.sleep(0.8)

    assert set(await _under_load([channel], roll_over)) == {"OK"}
    # Whoever still shows a certificate of the old CA is out.
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes(), kept["tls.key"], kept["tls.crt"])
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        assert await _refused(channel) is UNAVAILABLE


async def test_a_stream_goes_on_where_it_began_and_its_channel_is_closed_after_it(
    session_service, connect, authority: Authority
):
    server = await session_service()
    channel = connect(server, authority.issue_service("inference"))
    stream = SessionAuthorityStub(channel).WatchGone(pb.WatchGoneRequest())
    assert (await stream.read()).ids == ["0"]
    first = channel.connection
    authority.rotate()
    async with asyncio.timeout(5):
        while channel.connection is first:
            await _read(channel)
            await asyncio.sleep(0.05)
    for number in range(1, 1000):
        assert (await stream.read()).ids == [str(number)]
    assert not await stream.read()
    for _ in range(100):
        if first not in channel._old:
            break
        await asyncio.sleep(0.05)
    assert first not in channel._old
    assert await _read(channel) == pb.ReadSessionsResponse()


async def test_health_is_watched_through_a_channel(session_service, connect, authority: Authority):
    server = await session_service()
    stub: Any = health_pb2_grpc.HealthStub(connect(server, authority.issue_service("gateway")))
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="swath.session"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_half_of_a_rotation_changes_nothing(session_service, connect, authority: Authority, tmp_path: Path):
    folder = authority.issue_service("session")
    plain = {name: tmp_path / name for name in ("tls.crt", "tls.key", "ca.crt")}
    for name, path in plain.items():
        path.write_bytes((folder / name).read_bytes())
    tls = {"tls_cert": plain["tls.crt"], "tls_key": plain["tls.key"], "tls_ca": plain["ca.crt"]}
    server = await session_service(tls=tls)
    client = authority.issue_service("inference")
    authority.rotate()
    plain["tls.crt"].write_bytes((folder / "tls.crt").read_bytes())
    await asyncio.sleep(0.2)
    assert await _read(connect(server, client)) == pb.ReadSessionsResponse()
    plain["tls.key"].write_bytes((folder / "tls.key").read_bytes())
    await asyncio.sleep(0.2)
    assert await _read(connect(server, client)) == pb.ReadSessionsResponse()


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
