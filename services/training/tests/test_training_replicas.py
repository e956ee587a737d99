"""Two replicas of the training service over one database: a client need not know which one has its run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import Unavailable
from swath.training.v1.runs_pb2 import LogLine
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.requests import TrainRequest
from swath_training.runs.model import Metric, Run, RunState

from .conftest import GRADIENT, STATISTICAL, World, Worlds, epoch_ended, make_training

LEASE: dict[str, Any] = {"lease_s": 1.0, "poll_interval_s": 0.1}


@dataclass
class Pair:
    """Two replicas: `one` is the world's own, `other` another over the same database, sessions and artifacts."""

    one: World
    other: World


Pairs = Callable[..., Awaitable[Pair]]


@pytest.fixture
async def pairs(worlds: Worlds) -> AsyncIterator[Pairs]:
    """Makes the pair with settings of the test's choice."""
    made: list[Pair] = []

    async def make(**settings: Any) -> Pair:
        one = await worlds(**LEASE, **settings)
        training = make_training(
            one.folder,
            one.sessions,
            one.artifacts,
            one.workspace,
            database=one.database,
            replica="other",
            **LEASE,
            **settings,
        )
        await training.start()
        made.append(Pair(one, World(one.folder, training, one.sessions, one.artifacts, one.workspace, one.database)))
        return made[-1]

    yield make
    for pair in made:
        for run in await pair.other.training._store.leases.renew():
            await pair.one.sessions.close(run.session_id)
        await pair.other.training.close()


@pytest.fixture
async def pair(pairs: Pairs) -> Pair:
    """The pair with the default settings."""
    return await pairs()


@pytest.fixture
def database(postgres_url: str) -> Path | str:
    """Replicas share Postgres alone."""
    return postgres_url


async def test_a_stream_at_the_other_replica_is_the_same(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=5)
    first = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    second = await pair.other.service.train(TrainRequest(session.id, GRADIENT))
    assert second.run_id == first.run_id
    there = asyncio.create_task(_all(second))
    here = await _all(first)
    assert await there == here
    assert here[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert (await pair.other.service.status(session.id)) == (await pair.one.service.status(session.id))


async def test_what_a_worker_logs_is_followed_at_the_other_replica(pair: Pair) -> None:
    session = await pair.one.configured()
    following = await pair.one.service.train(TrainRequest(session.id, STATISTICAL))
    async with aclosing(pair.other.service.logs(following.run_id, follow=True)) as pages:
        lines = [LogLine.FromString(line.payload).text async for page in pages for line in page]
    assert lines == ["attempt begins", "attempt ends"]


async def test_the_same_call_at_both_at_once_is_one_run(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=2)
    request = TrainRequest(session.id, GRADIENT)
    first, second = await asyncio.gather(pair.one.service.train(request), pair.other.service.train(request))
    assert first.run_id == second.run_id
    await asyncio.gather(_all(first), _all(second))


async def test_a_stop_at_the_other_replica_stops_the_run(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=500)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(1))
    await pair.other.service.stop(session.id)
    told = await pair.other.ended(following.run_id)
    assert told[-1].status == pb.TRAIN_STATUS_CANCELLED


async def test_a_run_that_is_followed_elsewhere_is_not_abandoned(pairs: Pairs) -> None:
    window_s = 3.0
    pair = await pairs(attach_window_s=window_s)
    session = await pair.one.fitted(epochs=10_000)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    elsewhere = await pair.other.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(1))
    left = time.monotonic()
    await pair.other.until(elsewhere, lambda _: time.monotonic() > left + 1.5 * window_s)
    assert (await pair.one.ended(following.run_id))[-1].status == pb.TRAIN_STATUS_CANCELLED


async def test_a_run_of_a_replica_that_is_gone_goes_on_at_the_other(pair: Pair) -> None:
    undisturbed, session = await pair.one.fitted(epochs=40), await pair.one.fitted(epochs=40)
    first = await pair.one.service.train(TrainRequest(undisturbed.id, GRADIENT))
    expected = await _all(first)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(3))
    worker = await pair.one.worker(following.run_id)
    await pair.one.training.close()
    worker.kill()
    told = await pair.other.ended(following.run_id)
    assert told == expected
    assert await _metrics(pair.other, following.run_id) == await _metrics(pair.other, first.run_id) != []
    ended = await pair.one.sessions.get(session.id)
    assert ended.weights_digest == (await pair.one.sessions.get(undisturbed.id)).weights_digest
    assert ended.active_run is None


async def test_what_a_replica_drains_the_other_takes_at_once(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=60)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(2))
    await pair.one.service.drain()
    told = await pair.other.ended(following.run_id)
    assert told[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_a_replica_that_drains_for_long_keeps_its_charge_until_the_end(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=500)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(1))
    supervisor = pair.one.service.supervisor
    drain, may_drain = supervisor.drain, asyncio.Event()

    async def drain_later() -> None:
        await may_drain.wait()
        await drain()

    supervisor.drain = drain_later  # type: ignore[method-assign]
    drained = asyncio.create_task(pair.one.service.drain())
    await asyncio.sleep(2.5 * LEASE["lease_s"])
    run = await pair.one.training._store.get(following.run_id)
    may_drain.set()
    await drained

    assert (run.holder, run.attempt) == ("alone", 1)
    await pair.other.service.stop(session.id)
    assert (await pair.other.ended(following.run_id))[-1].status == pb.TRAIN_STATUS_CANCELLED


async def test_what_could_not_be_taken_up_at_once_is_taken_up_later(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=60)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(2))
    with_lease = pair.other.service._with_lease

    async def away(run: Run) -> Run:
        pair.other.service._with_lease = with_lease  # type: ignore[method-assign]
        raise Unavailable("the session service is away")

    pair.other.service._with_lease = away  # type: ignore[method-assign]
    await pair.one.service.drain()
    async with asyncio.timeout(60):
        told = await pair.other.ended(following.run_id)
    assert told[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_a_replica_that_lost_its_run_lets_go_of_it(pair: Pair) -> None:
    session = await pair.one.fitted(epochs=300)
    following = await pair.one.service.train(TrainRequest(session.id, GRADIENT))
    await pair.one.until(following, epoch_ended(1))
    worker = await pair.one.worker(following.run_id)
    await pair.one.service._lease_manager.stop()  # as if it were frozen: it renews nothing
    for _ in range(100):
        if pair.other.service.supervisor.holds(following.run_id):
            break
        await asyncio.sleep(0.05)
    assert pair.other.service.supervisor.holds(following.run_id)
    for _ in range(100):
        if not pair.one.service.supervisor.holds(following.run_id):
            break
        await asyncio.sleep(0.05)
    assert not worker.alive
    run = await pair.other.training._store.get(following.run_id)
    assert run.attempt >= 1
    await pair.other.service.stop(session.id)
    await pair.other.ended(following.run_id)


async def test_a_replica_without_work_takes_a_run_that_waits_at_the_other(pair: Pair) -> None:
    long, short = await pair.one.fitted(epochs=500), await pair.one.fitted(epochs=2)
    busy = await pair.one.service.train(TrainRequest(long.id, GRADIENT))
    await pair.one.until(busy, epoch_ended(1))
    waiting = await pair.one.service.train(TrainRequest(short.id, GRADIENT))
    assert (await pair.one.ended(waiting.run_id))[-1].status == pb.TRAIN_STATUS_COMPLETE
    run = await pair.one.training._store.get(waiting.run_id)
    assert run.holder == "other"
    assert (await pair.one.training._store.get(busy.run_id)).state is RunState.RUNNING


async def _metrics(world: World, run_id: str) -> list[Metric]:
    return [metric async for page in world.service.metrics(run_id) for metric in page]


async def _all(following) -> list[pb.TrainResponse]:
    async with aclosing(following.events()) as events:
        return [response_of(entry) async for entry in events]
