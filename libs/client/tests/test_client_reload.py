"""Certificates that change while clients run, against a server that takes them up as well."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from swath.client import AsyncClient, CallError, Client, ClientConfig, TlsConfig
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc as pb_grpc
from swath.rpc.tls import server_credentials, tls_files
from swath.runtime.auth.certificates import Authority
from swath.runtime.settings import ServerSettings


class Busy(pb_grpc.CuvisAIServiceServicer):
    """Sends ten messages a second, and answers at once."""

    def Train(self, request: pb.TrainRequest, context: grpc.ServicerContext) -> Iterator[pb.TrainResponse]:
        for number in range(25):
            yield pb.TrainResponse(message=str(number))
            time.sleep(0.1)

    def CloseSession(self, request: Any, context: grpc.ServicerContext) -> pb.CloseSessionResponse:
        return pb.CloseSessionResponse(success=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config(authority: Authority) -> Iterator[ClientConfig]:
    """How a user with a certificate reaches a server that wants one. Its connections end all the time."""
    mine, theirs = authority.issue_user("alice"), authority.issue_service("standalone")
    settings = ServerSettings(tls_cert=theirs / "tls.crt", tls_key=theirs / "tls.key", tls_ca=theirs / "ca.crt")
    files = tls_files(settings)
    assert files is not None
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_connection_age_ms", 300)])
    pb_grpc.add_CuvisAIServiceServicer_to_server(Busy(), server)
    port = server.add_secure_port("localhost:0", server_credentials(files, require=True))
    server.start()
    tls = TlsConfig(root=mine / "ca.crt", cert=mine / "tls.crt", key=mine / "tls.key")
    # CloseSession, which is called below, is not made again once a server has taken it: each failure would be seen.
    yield ClientConfig(target=f"localhost:{port}", tls=tls, health_service=None)
    server.stop(None).wait()


def _roll_over(authority: Authority, done: Any) -> None:
    """Change everything, the CA too."""
    try:
        for step in (authority.rotate, authority.roll, authority.rotate, authority.retire):
            step()
            time.sleep(0.8)
    finally:
        done()


def test_blocking_calls_and_streams_go_on(config: ClientConfig, authority: Authority) -> None:
    done = threading.Event()
    calls = 0
    with Client(config) as client:
        stream = client.stub.Train(pb.TrainRequest(), metadata=config.call_metadata())
        change = threading.Thread(target=_roll_over, args=(authority, done.set))
        change.start()
        while not done.is_set():
            client.attach("s1").close()
            calls += 1
        change.join()
        assert [progress.message for progress in stream] == [str(number) for number in range(25)]
    assert calls > 100


async def test_asyncio_calls_and_streams_go_on(config: ClientConfig, authority: Authority) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    calls = 0
    async with AsyncClient(config) as client:
        stream = client.stub.Train(pb.TrainRequest(), metadata=config.call_metadata())
        change = asyncio.create_task(
            asyncio.to_thread(_roll_over, authority, lambda: loop.call_soon_threadsafe(done.set))
        )
        while not done.is_set():
            await client.attach("s1").close()
            calls += 1
        await change
        assert [progress.message async for progress in stream] == [str(number) for number in range(25)]
    assert calls > 100


def test_without_the_new_files_a_client_is_out(config: ClientConfig, authority: Authority, tmp_path: Path) -> None:
    root, cert, key = (tmp_path / name for name in ("kept.root", "kept.cert", "kept.key"))
    for path, source in ((root, "ca.crt"), (cert, "tls.crt"), (key, "tls.key")):
        path.write_bytes((authority.user("alice") / source).read_bytes())
    with Client(config.with_(tls=TlsConfig(root=root, cert=cert, key=key))) as client:
        client.attach("s1").close()
        _roll_over(authority, lambda: None)
        with pytest.raises(CallError):
            client.attach("s1").close()


def test_a_client_that_comes_between_two_files_waits_for_the_second(config: ClientConfig, authority: Authority) -> None:
    key = authority.user("alice") / "tls.key"
    before = key.read_bytes()
    authority.rotate()
    after = key.read_bytes()
    key.write_bytes(before)
    later = threading.Timer(0.2, key.write_bytes, [after])
    later.start()
    with Client(config) as client:
        client.attach("s1").close()
    later.join()
    key.write_bytes(before)
    with pytest.raises(ValueError, match="are no PEM certificate and its private key"):
        Client(config)


def test_a_token_may_be_asked_for_at_each_call_and_is_never_shown() -> None:
    tokens = iter(["first", "second"])
    config = ClientConfig(token=lambda: next(tokens))
    assert [dict(config.call_metadata())["authorization"] for _ in range(2)] == ["Bearer first", "Bearer second"]
    assert "secret" not in repr(ClientConfig(token="secret"))
