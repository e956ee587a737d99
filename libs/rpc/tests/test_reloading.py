"""Certificates that change under load: calls go on, streams end where they began."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from swath.rpc.reloading import ReloadingChannel, connections
from swath.rpc.tls import Material, channel_credentials, watch_tls
from swath.runtime.auth.certificates import Authority
from swath.session.v1 import session_pb2 as pb
from swath.session.v1.session_pb2_grpc import SessionAuthorityStub

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def _read(channel: grpc.aio.Channel) -> pb.ReadSessionsResponse:
    return await SessionAuthorityStub(channel).ReadSessions(pb.ReadSessionsRequest(), timeout=10)


def _read_blocking(channel: grpc.Channel) -> pb.ReadSessionsResponse:
    return SessionAuthorityStub(channel).ReadSessions(pb.ReadSessionsRequest(), timeout=10)


def _current(channel: Any) -> connections.Connection:
    return channel.connections.current


def _blocking(port: int, folder: Path) -> ReloadingChannel:
    def open_one(material: Material) -> grpc.Channel:
        options = (("grpc.ssl_target_name_override", "session.swath"), ("grpc.use_local_subchannel_pool", 1))
        return grpc.secure_channel(f"127.0.0.1:{port}", channel_credentials(material), options=options)

    return ReloadingChannel(watch_tls(folder / "tls.crt", folder / "tls.key", folder / "ca.crt"), open_one)


async def _refused(channel: grpc.aio.Channel) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read(channel)
    return caught.value.code()


def _take_over(folder: Path, other: Path) -> None:
    for name in ("tls.key", "tls.crt"):
        shutil.copy(other / name, folder / name)


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

    first = [_current(channel) for channel in channels]
    ends = await _under_load(channels, rotate)
    assert len(ends) > 100
    assert set(ends) == {"OK"}
    assert all(_current(channel) is not was for channel, was in zip(channels, first, strict=True))


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
    first = _current(channel)
    authority.rotate()
    async with asyncio.timeout(5):
        while _current(channel) is first:
            await _read(channel)
            await asyncio.sleep(0.05)
    for number in range(1, 1000):
        assert (await stream.read()).ids == [str(number)]
    assert not await stream.read()
    for _ in range(100):
        if first not in channel.connections.old:
            break
        await asyncio.sleep(0.05)
    assert first not in channel.connections.old
    assert await _read(channel) == pb.ReadSessionsResponse()


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


async def test_a_blocking_channel_moves_too_and_its_streams_end_where_they_began(session_service, authority: Authority):
    server = await session_service()

    def check() -> None:
        with _blocking(server.port, authority.issue_service("inference")) as channel:
            stream = SessionAuthorityStub(channel).WatchGone(pb.WatchGoneRequest())
            assert next(stream).ids == ["0"]
            first = _current(channel)
            authority.rotate()
            until = time.monotonic() + 30
            while _current(channel) is first:
                assert time.monotonic() < until
                _read_blocking(channel)
            assert [answer.ids[0] for answer in stream] == [str(number) for number in range(1, 1000)]
            while first in channel.connections.old:
                assert time.monotonic() < until + 30
                _read_blocking(channel)
            assert _read_blocking(channel) == pb.ReadSessionsResponse()

    await asyncio.to_thread(check)


async def test_a_blocking_call_that_finds_changed_files_goes_over_the_new_connection(
    session_service, authority: Authority
):
    server = await session_service(max_connection_age_s=0.3)

    def check() -> None:
        with _blocking(server.port, authority.issue_service("pipeline")) as channel:
            _read_blocking(channel)
            first = _current(channel)
            # With the certificates that it began with nobody gets in after this.
            for step in (authority.roll, authority.rotate, authority.retire):
                step()
            time.sleep(1.0)
            assert SessionAuthorityStub(channel).AddSession(pb.AddSessionRequest(), timeout=10)
            assert _current(channel) is not first

    await asyncio.to_thread(check)


async def test_so_does_a_call_from_a_loop_that_runs_only_now_and_then(session_service, connect, authority: Authority):
    server = await session_service(max_connection_age_s=0.3)
    channel = connect(server, authority.issue_service("pipeline"))
    await _read(channel)
    for step in (authority.roll, authority.rotate, authority.retire):
        step()
    time.sleep(2.5)  # noqa: ASYNC251 - the loop is not to run
    assert await SessionAuthorityStub(channel).AddSession(pb.AddSessionRequest(), timeout=10) is not None


async def test_files_that_get_nobody_in_leave_the_old_connection_in_use(
    session_service, connect, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "READY_TIMEOUT_S", 0.5)
    server = await session_service()
    folder = authority.issue_service("inference")
    stranger = Authority(tmp_path / "other").issue_service("inference")
    channel, blocking = connect(server, folder), _blocking(server.port, folder)
    with blocking:
        first = _current(channel), _current(blocking)
        await _read(channel)
        await asyncio.to_thread(_read_blocking, blocking)
        _take_over(folder, stranger)
        for _ in range(10):
            await _read(channel)
            await asyncio.to_thread(_read_blocking, blocking)
            await asyncio.sleep(0.1)
        assert (_current(channel), _current(blocking)) == first
        authority.rotate()
        async with asyncio.timeout(20):
            while _current(channel) is first[0] or _current(blocking) is first[1]:
                await _read(channel)
                await asyncio.to_thread(_read_blocking, blocking)
                await asyncio.sleep(0.1)


async def test_files_that_hold_the_same_as_before_change_nothing(session_service, connect, authority: Authority):
    server = await session_service()
    folder = authority.issue_service("inference")
    channel = connect(server, folder)
    first = _current(channel)
    await _read(channel)
    for name in ("tls.key", "tls.crt", "ca.crt"):
        (folder / name).write_bytes((folder / name).read_bytes())
    await asyncio.sleep(1.0)
    await _read(channel)
    assert _current(channel) is first
