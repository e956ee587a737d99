"""Options of the client's channels."""

import json
from pathlib import Path
from typing import Any

import pytest

from swath.api import CUVIS, IDEMPOTENT, WORKSPACE
from swath.client import ClientConfig, RetryConfig, TlsConfig
from swath.client.channel import options, target_of
from swath.cuvis_ai.v1 import cuvis_ai_pb2
from swath.workspace.v1 import workspace_pb2


def _service_config(config: ClientConfig) -> dict[str, Any]:
    return json.loads(dict(options(config))["grpc.service_config"])


def test_service_config_has_round_robin_health_and_retries() -> None:
    document = _service_config(ClientConfig(health_service="cuvis_ai.v1.CuvisAIService"))
    [methods] = document["methodConfig"]
    assert document["loadBalancingConfig"] == [{"round_robin": {}}]
    assert document["healthCheckConfig"] == {"serviceName": "cuvis_ai.v1.CuvisAIService"}
    assert methods["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert {"service": "cuvis_ai.v1.CuvisAIService", "method": "Inference"} in methods["name"]


def test_retries_and_health_checking_can_be_switched_off() -> None:
    document = _service_config(ClientConfig(retry=RetryConfig(attempts=1), health_service=None))
    assert document.keys() == {"loadBalancingConfig"}


@pytest.mark.parametrize(("module", "service"), [(cuvis_ai_pb2, CUVIS), (workspace_pb2, WORKSPACE)])
def test_methods_that_are_retried_exist_and_change_nothing_when_repeated(module: Any, service: str) -> None:
    [methods] = [s.methods_by_name for s in module.DESCRIPTOR.services_by_name.values() if s.full_name == service]
    assert set(IDEMPOTENT[service]) <= set(methods)
    assert not {"CreateSession", "CloseSession", "Train", "StopTrain", "RestoreTrainRun"} & set(IDEMPOTENT[service])


def test_large_calls_are_retried_too() -> None:
    chosen = dict(options(ClientConfig(max_message_bytes=600 * 2**20)))
    assert chosen["grpc.per_rpc_retry_buffer_size"] == chosen["grpc.max_send_message_length"] == 600 * 2**20


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("localhost:50051", "dns:///localhost:50051"),
        ("10.0.0.7:443", "dns:///10.0.0.7:443"),
        ("unix:/run/swath.sock", "unix:/run/swath.sock"),
        ("dns:///swath.example:443", "dns:///swath.example:443"),
    ],
)
def test_plain_targets_are_resolved_to_all_addresses(given: str, used: str) -> None:
    assert target_of(given) == used


def test_half_a_key_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="cert and key"):
        TlsConfig(cert=Path("client.pem"))


def test_token_goes_with_each_call() -> None:
    assert ClientConfig(token="secret").call_metadata() == [("authorization", "Bearer secret")]
