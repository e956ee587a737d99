"""What runs have measured, as rows: written with the events that they came with, once each."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from swath.api import RUN_SERVICE
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import AttemptFenced, RunNotFound
from swath.rpc.caller import Caller, acting_as
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import slice_handler
from swath.storage.sql.engine import open_engine
from swath.storage.sql.engine import run as in_database
from swath.training.v1 import events_pb2, runs_pb2, runs_pb2_grpc
from swath_training import TrainingService
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.requests import TrainRequest
from swath_training.runs.database.store import RunStore
from swath_training.runs.database.tables import METRICS, SCHEMA
from swath_training.runs.items import Checkpoint, Event, Item, Result
from swath_training.runs.model import Metric, Run, RunState, Trainer

from .conftest import CALIBRATION, GRADIENT, STATISTICAL, World, epoch_ended, tables_in

Row = tuple[str, str, int, int]

TRAINING = {
    "max_epochs": 4,
    "accelerator": "cpu",
    "num_sanity_val_steps": 0,
    "optimizer": {"lr": 0.01},
    "callbacks": {"learning_rate_monitor": {"logging_interval": "step"}},
}


async def metrics_of(service: TrainingService, run_id: str, *names: str, after_seq: int = 0) -> list[Metric]:
    return [metric async for page in service.metrics(run_id, names, after_seq) for metric in page]


def rows(metrics: Iterable[Metric]) -> list[tuple[Row, float]]:
    """What was measured, apart from the places in the log, which notes of the service move."""
    return [((each.name, each.split, each.step, each.epoch), each.value) for each in metrics]


def curve(metrics: Iterable[Metric], split: str, name: str) -> list[tuple[int, Any]]:
    return [(each.step, pytest.approx(each.value)) for each in metrics if (each.split, each.name) == (split, name)]


def told(stream: Iterable[pb.TrainResponse], hook: pb.TrainHook, values: str, name: str) -> list[tuple[int, float]]:
    """The values of one name in the events of one kind."""
    return [
        (each.context.global_step, getattr(each, values)[name])
        for each in stream
        if each.event.hook == hook and name in getattr(each, values)
    ]


async def test_curves_are_what_the_events_say(world: World) -> None:
    session = await world.fitted(training=TRAINING)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    stream = await world.ended(following.run_id)

    metrics = await metrics_of(world.service, following.run_id)

    batches, epochs = pb.TRAIN_HOOK_TRAIN_PROGRESS, pb.TRAIN_HOOK_EPOCH_END
    validating, validated = pb.TRAIN_HOOK_VALIDATION_PROGRESS, pb.TRAIN_HOOK_VALIDATION_END
    assert len(curve(metrics, "train", "total")) == 8
    assert curve(metrics, "train", "total") == told(stream, batches, "losses", "total")
    assert curve(metrics, "val", "total") == told(stream, validating, "losses", "total")
    assert curve(metrics, "train", "train_loss") == told(stream, epochs, "losses", "train_loss")
    assert curve(metrics, "val", "val_loss") == told(stream, validated, "losses", "val_loss")
    rates = told(stream, batches, "metrics", "lr-AdamW") + told(stream, epochs, "metrics", "lr-AdamW")
    assert sorted(curve(metrics, "train", "lr-AdamW"), key=lambda point: point[0]) == sorted(rates)
    (ended,) = [each.event.evaluation for each in stream if each.event.evaluation.split == pb.EXECUTION_STAGE_TEST]
    assert curve(metrics, "test", "metrics/iou") == [(8, ended.metrics["metrics/iou"])]
    # The four validations, and the evaluation after the last one; batches that show the values again add nothing.
    measured = told(stream, validated, "metrics", "metrics/iou")
    assert len(measured) == 4
    assert curve(metrics, "val", "metrics/iou")[:4] == measured
    assert {each.split for each in metrics if each.name == "metrics/iou"} == {"val", "test"}
    assert any(each.name == "decider/iou" and each.split == "val" for each in metrics)


async def test_they_are_read_by_name_and_from_a_place_on(world: World) -> None:
    session = await world.fitted(training=TRAINING)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.ended(following.run_id)

    metrics = await metrics_of(world.service, following.run_id)
    losses = await metrics_of(world.service, following.run_id, "val_loss", "train_loss")

    assert losses == [each for each in metrics if each.name in ("val_loss", "train_loss")]
    assert await metrics_of(world.service, following.run_id, after_seq=losses[2].seq) == [
        each for each in metrics if each.seq > losses[2].seq
    ]


async def test_a_calibration_has_metrics_and_a_fit_of_statistics_none(world: World) -> None:
    session = await world.configured()
    statistical = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(statistical.run_id)
    calibration = await world.service.train(TrainRequest(session.id, CALIBRATION))
    await world.ended(calibration.run_id)

    assert await metrics_of(world.service, statistical.run_id) == []
    names = {each.name for each in await metrics_of(world.service, calibration.run_id)}
    assert {"decider/iou", "metrics/iou"} <= names


async def test_a_killed_worker_leaves_no_gap_and_nothing_twice(world: World) -> None:
    undisturbed, disturbed = await world.fitted(epochs=30), await world.fitted(epochs=30)
    expected = await world.service.train(TrainRequest(undisturbed.id, GRADIENT))
    await world.ended(expected.run_id)
    following = await world.service.train(TrainRequest(disturbed.id, GRADIENT))
    await world.until(following, epoch_ended(4))
    (await world.worker(following.run_id)).kill()
    await world.ended(following.run_id)

    run = await world.training._store.get(following.run_id)
    metrics = await metrics_of(world.service, following.run_id)
    assert run.attempt == 2
    assert rows(metrics) == rows(await metrics_of(world.service, expected.run_id))
    assert run.metric_rows == len(metrics)


async def test_they_are_there_for_the_owner_of_the_run_alone(world: World) -> None:
    run = Run("run", "session", "alice", RunState.QUEUED, Trainer.STATISTICAL, "", "", "", None, "cpu")
    await world.training._store.create(run, Event(0, b""))

    with acting_as(Caller("alice", "token")):
        assert await metrics_of(world.service, "run") == []
    with acting_as(Caller("bob", "token")), pytest.raises(RunNotFound):
        await metrics_of(world.service, "run")
    await world.training._store.end("run", RunState.CANCELLED)


async def test_clients_read_them(world: World) -> None:
    run = Run("run", "session", "", RunState.QUEUED, Trainer.GRADIENT, "", "", "", None, "cpu")
    store = world.training._store
    await store.create(run, Event(0, b""))
    await store.begin("run", "token")
    await store.record("run", 1, [Item(1, measuring(1, total=math.nan)), Item(2, measuring(2, total=0.5, other=1.0))])
    server = grpc.aio.server()
    handlers = slice_handler(RUN_SERVICE, "training", world.training.runs)
    server.add_generic_rpc_handlers((Calls((handlers,)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = runs_pb2_grpc.RunServiceStub(channel)
        everything = stub.ReadMetrics(runs_pb2.ReadMetricsRequest(run_id="run", names=["total"]))
        first, second = [metric async for answer in everything for metric in answer.metrics]
        later = stub.ReadMetrics(runs_pb2.ReadMetricsRequest(run_id="run", after_seq=1))
        names = [metric.name async for answer in later for metric in answer.metrics]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            _ = [answer async for answer in stub.ReadMetrics(runs_pb2.ReadMetricsRequest(run_id="walk"))]
    await server.stop(None)
    await store.end("run", RunState.CANCELLED)

    assert math.isnan(first.value)
    assert (second.name, second.split, second.step, second.seq, second.value) == ("total", "train", 2, 2, 0.5)
    assert names == ["other", "total"]
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


# On disk


@pytest.fixture
async def store(database: Path | str) -> AsyncIterator[RunStore]:
    if isinstance(database, str):
        await tables_in(database)
    engine = open_engine(database, schema=SCHEMA.name)
    store = RunStore(engine)
    await store.prepare()
    yield store
    await store.close()


@pytest.fixture
async def run(store: RunStore) -> Run:
    """A run in its first attempt."""
    run = Run("run", "session", "", RunState.QUEUED, Trainer.GRADIENT, "", "", "", None, "cpu")
    await store.create(run, Event(0, b""))
    return await store.begin(run.id, "first")


def measuring(position: int, **losses: float) -> Event:
    """An event of a batch, as a worker sends it and the service completes it."""
    moment = events_pb2.RunMoment(hook=events_pb2.RunMoment.HOOK_TRAIN_PROGRESS)
    message = events_pb2.RunEvent(split=events_pb2.SPLIT_TRAIN, step=position, losses=losses, moment=moment)
    return RunEventCodec().complete(Event(position, message.SerializeToString()))


def items(*positions: int, seq: int = 1) -> list[Item]:
    return [Item(seq + index, measuring(position, total=position)) for index, position in enumerate(positions)]


async def values(store: RunStore) -> list[tuple[int, float]]:
    return [(each.seq, each.value) for each in await store.metrics.after("run", 0)]


async def test_events_and_what_they_have_measured_are_one_commit(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, items(1, 2))
    refused = replace(measuring(3, total=3.0), metrics=(Metric(cast(str, None), 3.0, "train", 3, 0),))
    with pytest.raises(IntegrityError):
        await store.record(run.id, 1, [*items(3, seq=3), Item(4, replace(refused, position=4))])

    assert [event.seq for event in await store.events(run.id, 0)] == [1, 2]
    assert await values(store) == [(1, 1.0), (2, 2.0)]


async def test_what_comes_again_is_not_measured_again(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, items(1, 2))
    await store.record(run.id, 1, [*items(1, 2), Item(3, Checkpoint("sha256:two", 2)), *items(3, 4, seq=4)])
    await store.begin(run.id, "second")
    # It goes on from the checkpoint after event 2, so events 3 and 4 come again.
    await store.record(run.id, 2, items(3, 4, 5))
    with pytest.raises(AttemptFenced):
        await store.record(run.id, 1, items(5, 6, seq=6))

    assert await values(store) == [(number, float(number)) for number in range(1, 6)]
    assert (await store.get(run.id)).metric_rows == 5


async def test_the_last_event_brings_its_metrics_into_the_log_with_it(store: RunStore, run: Run) -> None:
    final = measuring(2, total=0.5)
    await store.record(run.id, 1, [*items(1), Item(2, Result("weights", "pipeline", final))])
    assert await values(store) == [(1, 1.0)]

    await store.end(run.id, RunState.COMPLETE, final)

    assert await values(store) == [(1, 1.0), (2, 0.5)]


async def test_values_that_are_no_numbers_survive(store: RunStore, run: Run) -> None:
    losses = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e-300}
    await store.record(run.id, 1, [Item(1, measuring(1, **losses))])

    found = {each.name: each.value for each in await store.metrics.after("run", 0)}
    assert math.isnan(found.pop("a"))
    assert found == {"b": math.inf, "c": -math.inf, "d": 1e-300}


async def test_a_name_may_be_anything(store: RunStore, run: Run) -> None:
    names = ["x" * 5000, "nul\0", "\N{GREEK SMALL LETTER MU} ''"]
    await store.record(run.id, 1, [Item(1, measuring(1, **dict.fromkeys(names, 1.0)))])

    found = {each.name for each in await store.metrics.after("run", 0)}
    assert found == {"x" * 5000, "nul\N{REPLACEMENT CHARACTER}", names[2]}


async def test_many_are_read_a_page_at_a_time(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, [Item(seq, measuring(seq, a=1.0, b=2.0, c=3.0)) for seq in range(1, 6)])

    found: list[Metric] = []
    place = (0, 2**31 - 1)
    while page := await store.metrics.after("run", *place, limit=4):
        found += page
        place = page[-1].seq, page[-1].ordinal
    assert [(each.seq, each.ordinal) for each in found] == [(seq, index) for seq in range(1, 6) for index in range(3)]


async def test_they_go_with_their_run(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, items(1, 2))
    await store.end(run.id, RunState.COMPLETE)

    assert await store.forget(-1.0) == ["run"]
    count = select(func.count()).select_from(METRICS)
    assert await in_database(store._engine, lambda connection: connection.execute(count).scalar_one()) == 0
