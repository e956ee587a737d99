"""The tutorial's helpers with the generated stub, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from swath.client import (
    apply_trainrun_config,
    build_stub,
    create_session_with_search_paths,
    format_progress,
    resolve_trainrun_config,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath_standalone.process import ServerProcess

pytestmark = pytest.mark.xdist_group("client-server")


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> CuvisAIServiceStub:
    return build_stub(server.target)


@pytest.fixture
def session_id(stub: CuvisAIServiceStub) -> Iterator[str]:
    session_id = create_session_with_search_paths(stub)
    yield session_id
    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))


def test_a_trainrun_goes_from_its_name_to_its_last_message(stub: CuvisAIServiceStub, session_id: str) -> None:
    response, config = resolve_trainrun_config(stub, session_id, "tiny_rx", ["name=renamed"])
    assert config["name"] == "renamed"
    assert json.loads(response.config_bytes) == config
    assert apply_trainrun_config(stub, session_id, response.config_bytes).pipeline_from_config
    request = pb.TrainRequest(session_id=session_id, trainer_type=pb.TRAINER_TYPE_STATISTICAL)
    lines = [format_progress(progress) for progress in stub.Train(request)]
    assert lines[0] == "[EXECUTION_STAGE_TRAIN] TRAIN_STATUS_RUNNING | Starting statistical training"
    assert lines[-1] == "[EXECUTION_STAGE_TRAIN] TRAIN_STATUS_COMPLETE | Statistical training complete"


def test_search_paths_may_be_others(stub: CuvisAIServiceStub) -> None:
    session_id = create_session_with_search_paths(stub, ["pipeline/tiny"])
    request = pb.ResolveConfigRequest(session_id=session_id, config_type="pipeline", path="scale")
    assert json.loads(stub.ResolveConfig(request).config_bytes)["metadata"]["name"] == "Scale"
    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))


def test_losses_and_metrics_are_in_order_and_short() -> None:
    progress = pb.TrainResponse(
        context=pb.Context(stage=pb.EXECUTION_STAGE_VAL),
        status=pb.TRAIN_STATUS_RUNNING,
        losses={"total": 2.0, "l1": 1.23456},
        metrics={"m/iou": 0.5},
    )
    assert format_progress(progress) == (
        "[EXECUTION_STAGE_VAL] TRAIN_STATUS_RUNNING | losses={l1: 1.235, total: 2} | metrics={m/iou: 0.5}"
    )
