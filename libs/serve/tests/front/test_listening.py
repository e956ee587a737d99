"""Where a front listens, with TLS and without, and what newcomers find with grpcurl."""

import asyncio
import json
import subprocess

import grpc
import pytest

from swath.errors import InvalidInput, Unavailable
from swath.runtime.auth.certificates import Authority
from swath.serve import front
from swath.serve.config import gRPCOptions

from .local import LocalApplications


class App:
    def __init__(self, probe) -> None:
        self.answer = probe.pb.Answer

    async def Unary(self, request, grpc_context):
        names = [each.decode() for each in grpc_context.peer_identities() or ()]
        return self.answer(text=" ".join(names), number=request.number)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certs")


@pytest.fixture
def tls(authority):
    folder = authority.issue_service("session")
    return {"tls_cert": folder / "tls.crt", "tls_key": folder / "tls.key", "tls_ca": folder / "ca.crt"}


@pytest.fixture
async def start(probe):
    started = []

    async def start(**options):
        applications = LocalApplications(probe.pb.DESCRIPTOR.pool)
        applications.deploy("app", App(probe))
        settings = gRPCOptions(**{"port": 0, "access_log": False, **options}, grpc_servicer_functions=probe.functions)
        server = await front.serve(applications, settings)
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop(1.0)


async def call(probe, server, credentials):
    options = [("grpc.ssl_target_name_override", "session.swath")]
    async with grpc.aio.secure_channel(str(server.address), credentials, options=options) as channel:
        return await probe.grpc.ProbeStub(channel).Unary(probe.pb.Ask(number=3), timeout=10)


async def test_it_listens_on_loopback_unless_it_is_told_otherwise(start):
    server = await start()
    assert str(server.address).startswith("127.0.0.1:")
    everywhere = await start(host="0.0.0.0")
    assert str(everywhere.address).startswith("0.0.0.0:")


async def test_a_socket_of_unix(start, probe, tmp_path):
    server = await start(host=f"unix:{tmp_path}/s")
    async with grpc.aio.insecure_channel(str(server.address)) as channel:
        assert (await probe.grpc.ProbeStub(channel).Unary(probe.pb.Ask(number=3))).number == 3


async def test_a_port_that_is_taken_is_said_and_never_shared(start):
    first = await start()
    with pytest.raises(Unavailable, match=r"cannot listen on .*; choose another port in grpc_options"):
        await start(port=first.address.port)


async def test_tls_without_certificates_of_clients(start, probe, tls, authority):
    server = await start(**tls)
    answer = await call(probe, server, grpc.ssl_channel_credentials(authority.ca.read_bytes()))
    assert (answer.number, answer.text) == (3, "")


async def test_mutual_tls_tells_the_handler_who_calls(start, probe, tls, authority):
    server = await start(**tls, client_certificates="required")
    folder = authority.issue_service("inference")
    pair = [(folder / name).read_bytes() for name in ("tls.key", "tls.crt")]
    answer = await call(probe, server, grpc.ssl_channel_credentials(authority.ca.read_bytes(), *pair))
    assert "spiffe://swath/inference" in answer.text
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(probe, server, grpc.ssl_channel_credentials(authority.ca.read_bytes()))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_files_that_are_no_certificates_fail_the_start(start, tls, tmp_path):
    bad = tmp_path / "bad.crt"
    bad.write_text("nothing")
    with pytest.raises(InvalidInput, match=r"bad\.crt"):
        await start(**{**tls, "tls_cert": bad})


async def test_grpcurl_finds_and_calls_a_users_service(start, grpcurl, probe):
    server = await start()

    def run(*arguments):
        command = [grpcurl, "-plaintext", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    target = str(server.address)
    assert (await asyncio.to_thread(run, target, "list")).split() == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "ray.serve.RayServeAPIService",
        "wire.probe.Other",
        "wire.probe.Probe",
    ]
    assert "int64 number = 2;" in await asyncio.to_thread(run, target, "describe", "wire.probe.Ask")
    said = await asyncio.to_thread(run, "-d", '{"number": 5}', target, "wire.probe.Probe/Unary")
    assert json.loads(said) == {"number": "5"}
    health = await asyncio.to_thread(run, "-d", '{"service": "app"}', target, "grpc.health.v1.Health/Check")
    assert json.loads(health) == {"status": "SERVING"}
