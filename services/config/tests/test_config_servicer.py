"""The servicer: proto in and out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import SessionNotFound
from swath_config import ConfigService, ConfigServicer


@pytest.fixture
def servicer(service: ConfigService) -> ConfigServicer:
    return ConfigServicer(service)


async def test_resolve_config_looks_in_the_sessions_search_paths(servicer: ConfigServicer, write: Any) -> None:
    write("mine/fast.yaml", "lr: 0.1")

    response = await servicer.ResolveConfig(
        pb.ResolveConfigRequest(session_id="s", config_type="optimizer", path="fast", overrides=["name=sgd"]), None
    )

    assert json.loads(response.config_bytes)["name"] == "sgd"


async def test_resolve_config_of_an_unknown_session(servicer: ConfigServicer) -> None:
    with pytest.raises(SessionNotFound, match="Session nope not found"):
        await servicer.ResolveConfig(pb.ResolveConfigRequest(session_id="nope"), None)


async def test_get_parameter_schema(servicer: ConfigServicer) -> None:
    response = await servicer.GetParameterSchema(pb.GetParameterSchemaRequest(config_type="pipeline"), None)

    assert json.loads(response.json_schema)["title"] == "PipelineConfig"


async def test_validate_config(servicer: ConfigServicer) -> None:
    response = await servicer.ValidateConfig(
        pb.ValidateConfigRequest(config_type="training", config_bytes=b'{"scheduler": {"name": "plateau"}}'), None
    )

    assert (response.valid, list(response.errors)) == (True, [])
    assert "monitor" in response.warnings[0]
