"""The training slice over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.documents import canonical
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import slice_handler

from .conftest import GRADIENT, STATISTICAL, World, config


@pytest.fixture
async def stub(world: World) -> AsyncIterator[cuvis_ai_pb2_grpc.CuvisAIServiceStub]:
    """A client of the world's service."""
    server = grpc.aio.server()
    handlers = slice_handler("cuvis_ai.v1.CuvisAIService", "training", world.training.servicer)
    server.add_generic_rpc_handlers((Calls((handlers,)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
    await server.stop(None)


async def test_a_stream_names_its_run_and_its_last_event(world: World, stub) -> None:
    session = await world.session()
    config_message = pb.TrainRunConfig(config_bytes=canonical(config()))
    answer = await stub.SetTrainRunConfig(pb.SetTrainRunConfigRequest(session_id=session.id, config=config_message))

    call = stub.Train(pb.TrainRequest(session_id=session.id, trainer_type=STATISTICAL))
    responses = [response async for response in call]

    assert (answer.success, answer.pipeline_from_config) == (True, False)
    assert responses[-1].status == pb.TRAIN_STATUS_COMPLETE
    run_id = dict(tuple(await call.initial_metadata()))["swath-run-id"]
    trailers = dict(tuple(await call.trailing_metadata()))
    assert (trailers["swath-run-id"], trailers["swath-seq"]) == (run_id, str(len(responses)))


async def test_a_client_goes_on_by_run_and_event(world: World, stub) -> None:
    session = await world.configured()
    request = pb.TrainRequest(session_id=session.id, trainer_type=STATISTICAL)
    first = stub.Train(request)
    whole = [response async for response in first]
    run_id = dict(tuple(await first.initial_metadata()))["swath-run-id"]

    second = stub.Train(request, metadata=(("swath-run-id", run_id), ("swath-after-seq", "5")))

    assert [response async for response in second] == whole[5:]


async def test_a_drain_ends_streams_with_the_place_to_go_on(world: World, stub) -> None:
    session = await world.fitted(epochs=1000)
    call = stub.Train(pb.TrainRequest(session_id=session.id, trainer_type=GRADIENT))
    await call.read()

    draining = asyncio.create_task(world.training.drain())
    count = 1
    with pytest.raises(grpc.aio.AioRpcError) as cut:
        while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
            count += 1
    await draining

    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(tuple(cut.value.trailing_metadata() or ()))
    assert trailers["swath-seq"] == str(count)
    assert "swath-run-id" in trailers


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("SetTrainRunConfig", pb.SetTrainRunConfigRequest(session_id="nobody")),
        ("StopTrain", pb.StopTrainRequest(session_id="nobody")),
        ("GetTrainStatus", pb.GetTrainStatusRequest(session_id="nobody")),
    ],
)
async def test_an_unknown_session_is_not_found(stub, method: str, request_) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="Session nobody not found") as failure:
        await getattr(stub, method)(request_)

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_train_of_an_unknown_session_is_not_found(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub.Train(pb.TrainRequest(session_id="nobody", trainer_type=STATISTICAL)).read()

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_before_any_run_the_status_says_so(world: World, stub) -> None:
    session = await world.session()

    answer = await stub.GetTrainStatus(pb.GetTrainStatusRequest(session_id=session.id))

    assert answer.latest_progress.status == pb.TRAIN_STATUS_UNSPECIFIED
    assert answer.latest_progress.message == "No training activity in this session yet"


async def test_a_stop_is_accepted_even_when_nothing_runs(world: World, stub) -> None:
    session = await world.session()

    assert (await stub.StopTrain(pb.StopTrainRequest(session_id=session.id))).accepted


async def test_capabilities_are_those_of_the_contract_as_the_documents_have_them(stub) -> None:
    answer = await stub.GetTrainingCapabilities(pb.GetTrainingCapabilitiesRequest())

    assert set(answer.supported_optimizers) == {"adam", "adamw", "sgd"}
    assert set(answer.supported_schedulers) == {"reduce_on_plateau", "cosine", "step", "exponential", "plateau"}
    callbacks = {
        callback.type: {
            parameter.name: "*" if parameter.required else parameter.default_value for parameter in callback.parameters
        }
        for callback in answer.supported_callbacks
    }
    assert callbacks["EarlyStopping"].items() >= {"monitor": "*", "patience": "10", "mode": "min"}.items()
    assert callbacks["ModelCheckpoint"].items() >= {"dirpath": "*", "monitor": "*", "save_top_k": "3"}.items()
    assert callbacks["LearningRateMonitor"].items() >= {"logging_interval": "epoch", "log_momentum": "False"}.items()
    schedulers = {parameter.name: parameter.default_value for parameter in answer.scheduler_params.parameters}
    assert schedulers.items() >= {"monitor": "", "factor": "0.1", "patience": "10"}.items()


@pytest.mark.parametrize(
    ("name", "kind", "validation"),
    [("lr", "float", "> 0, <= 1"), ("betas", "tuple", ""), ("weight_decay", "float", ">= 0, <= 1")],
)
async def test_parameters_have_types_ranges_and_descriptions(stub, name, kind, validation) -> None:
    answer = await stub.GetTrainingCapabilities(pb.GetTrainingCapabilitiesRequest())

    found = {parameter.name: parameter for parameter in answer.optimizer_params.parameters}[name]
    assert (found.type, found.validation) == (kind, validation)
    assert found.description
