"""Users' applications in a suite: deployed, called and found at the gateway, by identities, through a kill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from swath.client import Client
from swath.serve.bundles import pack
from swath_suite.suite import Suite
from swath_suite.testing.greeting import CONFIG, GREET, hello, said, write_greeting
from swath_suite.testing.identities import Identities

APPLICATION = ("application", "greet")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A bundle of the application."""
    return pack(write_greeting(tmp_path_factory.mktemp("code")))


@pytest.fixture
def deployed(client: Client, code: bytes) -> Iterator[Client]:
    """A client that has deployed the application."""
    bundle = client.applications.put_bundle(code)
    *_, last = client.applications.deploy(CONFIG, bundles={"": bundle.digest})
    assert [each.status for each in last.applications] == ["RUNNING"]
    yield client
    client.applications.shutdown()


def _greet(suite: Suite, channel: grpc.Channel, token: str = "") -> str:
    call: Any = channel.unary_unary(GREET, hello, said)
    metadata = (APPLICATION, *((("authorization", f"Bearer {token}"),) if token else ()))
    return call("Ada", metadata=metadata, timeout=30, wait_for_ready=True)


@pytest.mark.usefixtures("deployed")
def test_users_services_are_answered_and_found_at_the_gateway(suite: Suite) -> None:
    with suite.channel() as channel:
        # Whichever replica gets it.
        assert {_greet(suite, channel) for _ in range(20)} == {"Bonjour Ada from nobody None []"}
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="greet"), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as refused:
            health.Check(health_pb2.HealthCheckRequest(service="gree"), timeout=10)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed = reflection_pb2.ServerReflectionRequest(list_services="")
        (services,) = reflection.ServerReflectionInfo(iter([listed]), timeout=10)
        names = {each.name for each in services.list_services_response.service}
        assert {"user.v1.GreetService", "cuvis_ai.v1.CuvisAIService", "swath.apps.v1.ApplicationService"} <= names
        nothing: Any = channel.unary_unary("/user.v1.GreetService/Nothing")
        with pytest.raises(grpc.RpcError) as refused:
            nothing(b"", metadata=(APPLICATION,), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


ASKER = """
import greet_pb2
import numpy as np
from swath import serve


@serve.deployment
class Asker:
    def __init__(self, model):
        self.model = model

    async def Greet(self, request):
        found = await self.model.remote(scores=np.arange(100, dtype=np.float32).reshape(1, 10, 10, 1))
        return greet_pb2.Said(text=str(int(found.only("decisions").sum())))


app = Asker.bind(serve.model("above-ninety@stable"))
"""


def test_an_application_calls_a_published_model_at_the_gateway(suite: Suite, client: Client, tmp_path: Path) -> None:
    hparams = {"threshold": 89.5, "keep": "above"}
    node = {"name": "above", "class_name": "cuvis_ai.node.deciders.ScoreThreshold", "hparams": hparams}
    with client.session() as session:
        session.load_pipeline({"nodes": [node], "connections": []})
        client.models.publish("above-ninety", session, aliases=["stable"])
    (write_greeting(tmp_path) / "asker.py").write_text(ASKER)
    bundle = client.applications.put_bundle(pack(tmp_path))
    config = CONFIG.partition("  deployments:")[0].replace("greeter:app", "asker:app")
    *_, last = client.applications.deploy(config, bundles={"": bundle.digest})
    assert [each.status for each in last.applications] == ["RUNNING"]
    with suite.channel() as channel:
        # Of the scores 0 to 99 ten are above 89.5, whichever replica answers.
        assert {_greet(suite, channel) for _ in range(6)} == {"10"}
    client.applications.shutdown()
    client.models.unpublish("above-ninety")


def test_a_kill_of_every_replica_loses_nothing(suite: Suite, deployed: Client) -> None:
    for process in suite.replicas("apps"):
        process.kill()
    for process in suite.replicas("apps"):
        process.start()
        process.wait_until(lambda name=process.name: suite.ready(name), 60)
    deadline = time.monotonic() + 30
    with suite.channel() as channel:
        while True:
            try:
                assert _greet(suite, channel) == "Bonjour Ada from nobody None []"
                break
            except grpc.RpcError as error:
                # Until the gateway has seen that they are there again.
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                assert time.monotonic() < deadline
                time.sleep(0.1)
    # Each replica tells of its own; the other one may still be bringing up what it was told of.
    while (states := [each.status for each in deployed.applications.status()]) != ["RUNNING"]:
        assert states == ["DEPLOYING"]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_applications_have_owners_and_callers_at_a_public_address(
    public_suite: Suite, identities: Identities, code: bytes
) -> None:
    with Client(public_suite.config(token=identities.tokens["alice"])) as alice:
        bundle = alice.applications.put_bundle(code)
        *_, last = alice.applications.deploy(CONFIG, bundles={"": bundle.digest})
        assert [(each.owner, each.status) for each in last.applications] == [("alice", "RUNNING")]
        with public_suite.channel() as channel:
            assert _greet(public_suite, channel, identities.tokens["bob"]) == "Bonjour Ada from bob None []"
            with pytest.raises(grpc.RpcError) as refused:
                _greet(public_suite, channel)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        # Around the gateway nobody calls users' services.
        port = public_suite.layout.ports["apps-0"].grpc
        folder: Path = public_suite.layout.folder / "certs" / "session"
        files = ((folder / name).read_bytes() for name in ("tls.key", "tls.crt"))
        credentials = grpc.ssl_channel_credentials(public_suite.certificates.ca.read_bytes(), *files)
        options = [("grpc.ssl_target_name_override", "apps.swath")]
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                _greet(public_suite, channel, identities.tokens["alice"])
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        alice.applications.shutdown()
