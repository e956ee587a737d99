"""What a run was made of, and what came of it, for clients."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from swath.api import RUN_SERVICE
from swath.errors import RunNotFound
from swath.rpc.caller import Caller, acting_as
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import slice_handler
from swath.training.v1 import runs_pb2, runs_pb2_grpc
from swath_training.api.requests import TrainRequest
from swath_training.runs.items import Event
from swath_training.runs.model import Run, RunArtifact, RunState, Trainer

from .conftest import STATISTICAL, World


@pytest.fixture
async def stub(world: World) -> AsyncIterator[runs_pb2_grpc.RunServiceStub]:
    """A client of the world's runs."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Calls((slice_handler(RUN_SERVICE, "training", world.training.runs),)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield runs_pb2_grpc.RunServiceStub(channel)
    await server.stop(None)


async def read(stub, run_id: str, artifact: Any) -> bytes:
    request = runs_pb2.ReadArtifactRequest(run_id=run_id, artifact=artifact)
    return b"".join([part.data async for part in stub.ReadArtifact(request)])


async def test_a_run_gives_its_specification_its_pipeline_and_its_weights(world: World, stub) -> None:
    session = await world.configured()
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(following.run_id)
    after = await world.sessions.get(session.id)

    specification = json.loads(await read(stub, following.run_id, runs_pb2.RUN_ARTIFACT_SPECIFICATION))
    pipeline = await read(stub, following.run_id, runs_pb2.RUN_ARTIFACT_PIPELINE)
    weights = await read(stub, following.run_id, runs_pb2.RUN_ARTIFACT_WEIGHTS)

    assert specification["data"]
    assert after.pipeline_digest == f"sha256:{hashlib.sha256(pipeline).hexdigest()}"
    assert after.weights_digest == f"sha256:{hashlib.sha256(weights).hexdigest()}"


@pytest.fixture
async def queued(world: World) -> AsyncIterator[str]:
    """A run that has not begun, from a pipeline of more than one part."""
    digest = await world.artifacts.put(b"p" * (2_500_000))
    run = Run("run", "session", "", RunState.QUEUED, Trainer.GRADIENT, "", "", digest, None, "cpu")
    await world.training._store.create(run, Event(0, b""))
    yield run.id
    await world.training._store.end(run.id, RunState.CANCELLED)


async def test_large_ones_come_in_parts(stub, queued: str) -> None:
    request = runs_pb2.ReadArtifactRequest(run_id=queued, artifact=runs_pb2.RUN_ARTIFACT_PIPELINE)
    assert [len(part.data) async for part in stub.ReadArtifact(request)] == [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]


@pytest.mark.parametrize(
    ("run_id", "artifact", "code", "text"),
    [
        ("run", runs_pb2.RUN_ARTIFACT_WEIGHTS, "NOT_FOUND", "run run has no weights: it is queued"),
        ("walk", runs_pb2.RUN_ARTIFACT_WEIGHTS, "NOT_FOUND", "walk"),
        ("run", 0, "INVALID_ARGUMENT", "expected one of RUN_ARTIFACT_SPECIFICATION"),
    ],
)
async def test_what_there_is_not_is_said(stub, queued: str, run_id: str, artifact: int, code: str, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=text) as refused:
        await read(stub, run_id, artifact)
    assert refused.value.code().name == code


async def test_those_of_others_are_not_there(world: World, queued: str) -> None:
    with acting_as(Caller("bob", "token")), pytest.raises(RunNotFound):
        await world.service.artifact(queued, RunArtifact.PIPELINE)
