"""How a client reaches a server."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from swath.client import Client, ClientConfig, RetryConfig, TlsConfig
from swath.client.channel import options


def test_pauses_grow_by_the_multiplier_up_to_the_longest() -> None:
    retry = RetryConfig(initial_s=0.5, multiplier=2.0, max_s=3.0)
    assert [retry.pause_s(failures) for failures in (1, 2, 3, 4, 9)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("attempts", [0, 6])
def test_attempts_are_1_to_5(attempts: int) -> None:
    with pytest.raises(ValueError, match=f"attempts must be 1 to 5, got {attempts}"):
        RetryConfig(attempts=attempts)


@pytest.mark.parametrize("field", ["initial_s", "max_s", "multiplier"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_pauses_are_positive(field: str, value: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        RetryConfig(**{field: value})  # type: ignore[arg-type]


def test_grpc_gets_the_retry_config() -> None:
    retry = RetryConfig(attempts=3, initial_s=0.25, max_s=2.0, multiplier=1.5)
    [methods] = json.loads(str(dict(options(ClientConfig(retry=retry)))["grpc.service_config"]))["methodConfig"]
    assert methods["retryPolicy"] == {
        "maxAttempts": 3,
        "initialBackoff": "0.25s",
        "maxBackoff": "2s",
        "backoffMultiplier": 1.5,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }


@pytest.mark.parametrize("attempts", [1, 2])
def test_grpc_s_own_retries_are_on_where_there_are_some(attempts: int) -> None:
    config = ClientConfig(retry=RetryConfig(attempts=attempts))
    assert dict(options(config))["grpc.enable_retries"] == attempts - 1


def test_a_config_is_made_of_nothing_of_a_target_or_of_itself() -> None:
    config = ClientConfig(target="swath.example:443")
    assert ClientConfig.of(None) == ClientConfig(target="localhost:50051")
    assert ClientConfig.of("swath.example:443") == config
    assert ClientConfig.of(config) is config


def test_a_copy_changes_the_fields_given() -> None:
    config = ClientConfig(target="a:1", timeout_s=3.0)
    assert config.with_(target="b:2") == ClientConfig(target="b:2", timeout_s=3.0)
    assert config.target == "a:1"


def test_a_config_cannot_be_changed_under_a_client() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClientConfig().target = "elsewhere:1"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": ""}, "target must name a server"),
        ({"max_message_bytes": 0}, "max_message_bytes must be 1 to 2147483647, got 0"),
        ({"max_message_bytes": 2**31}, "got 2147483648"),
    ],
)
def test_what_no_server_can_be_reached_with_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClientConfig(**wrong)


@pytest.mark.parametrize("token", [None, "", lambda: ""])
def test_without_a_token_there_is_no_authorization(token: Any) -> None:
    assert ClientConfig(token=token, metadata={"x-team": "sky"}).call_metadata() == [("x-team", "sky")]


def test_a_token_comes_after_the_metadata_that_was_given() -> None:
    config = ClientConfig(token="t", metadata={"x-team": "sky"})
    assert config.call_metadata() == [("x-team", "sky"), ("authorization", "Bearer t")]


def test_the_name_in_a_certificate_may_be_another_than_the_target_s() -> None:
    config = ClientConfig(tls=TlsConfig(server_name="swath.internal"))
    assert dict(options(config))["grpc.ssl_target_name_override"] == "swath.internal"
    assert "grpc.ssl_target_name_override" not in dict(options(ClientConfig(tls=TlsConfig())))


def test_the_system_s_authorities_are_taken_where_no_file_is_named() -> None:
    with Client(ClientConfig(target="localhost:1", tls=TlsConfig())) as client:
        assert client.config.tls == TlsConfig()


def test_a_file_that_holds_no_certificates_is_named(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("no certificate")
    with pytest.raises(ValueError, match=r"root\.pem holds no PEM certificates"):
        Client(ClientConfig(tls=TlsConfig(root=tmp_path / "root.pem")))


def test_a_key_that_is_none_is_named_with_its_certificate(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(ValueError, match=r"tls\.crt and .*tls\.key are no PEM certificate and its private key"):
        Client(ClientConfig(tls=TlsConfig(cert=tmp_path / "tls.crt", key=tmp_path / "tls.key")))


def test_a_model_is_named_for_gateways() -> None:
    assert ClientConfig(token="t").call_metadata("scene") == [("swath-model", "scene"), ("authorization", "Bearer t")]


@pytest.mark.parametrize("name", ["", "no\nname", "größe", "a b", "x" * 129])
def test_what_is_no_name_of_a_model_is_left_to_the_server(name: str) -> None:
    assert ClientConfig().call_metadata(name) == []
