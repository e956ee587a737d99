"""Streams that leave and come back."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import RunActive, RunNotFound
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.requests import TrainRequest

from .conftest import GRADIENT, STATISTICAL, World, Worlds, epoch_ended, epochs_of


async def test_the_same_train_goes_on_where_the_stream_was_left(world: World) -> None:
    session = await world.fitted(epochs=30)
    first = await world.service.train(TrainRequest(session.id, GRADIENT))
    seen = await world.until(first, epoch_ended(3))

    rest = await world.train(session, GRADIENT)

    assert rest[-1].status == pb.TRAIN_STATUS_COMPLETE
    # The event at which the stream was dropped may come again, no other one does.
    assert sorted({*epochs_of(seen), *epochs_of(rest)}) == list(range(1, 31))
    assert epochs_of(rest)[0] in (3, 4)


async def test_another_train_is_refused_while_one_runs(world: World) -> None:
    session = await world.fitted(epochs=1000)
    await world.service.train(TrainRequest(session.id, GRADIENT))

    with pytest.raises(RunActive, match="is training"):
        await world.service.train(TrainRequest(session.id, STATISTICAL))


async def test_an_end_that_nobody_heard_is_told_once(world: World) -> None:
    session = await world.configured()
    ended_undelivered = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(ended_undelivered.run_id)

    told = await world.service.train(TrainRequest(session.id, STATISTICAL))
    heartbeat = [entry async for entry in told.events()]
    again = await world.service.train(TrainRequest(session.id, STATISTICAL))

    assert told.run_id == ended_undelivered.run_id
    assert response_of(heartbeat[-1]).status == pb.TRAIN_STATUS_COMPLETE
    assert again.run_id != ended_undelivered.run_id


async def test_an_end_that_nobody_heard_is_not_told_after_the_window(worlds: Worlds) -> None:
    world = await worlds(attach_window_s=0.0)
    session = await world.configured()
    ended_undelivered = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(ended_undelivered.run_id)

    again = await world.service.train(TrainRequest(session.id, STATISTICAL))

    assert again.run_id != ended_undelivered.run_id


async def test_a_client_that_knows_its_run_attaches_at_any_event(world: World) -> None:
    session = await world.configured()
    whole = await world.service.train(TrainRequest(session.id, STATISTICAL))
    events = [entry async for entry in whole.events()]

    request = TrainRequest(session.id, STATISTICAL, run_id=whole.run_id, after_seq=events[3].seq)
    rest = [entry async for entry in (await world.service.train(request)).events()]

    assert rest == events[4:]
    assert all(later.seq == earlier.seq + 1 for earlier, later in pairwise(events))


async def test_a_run_of_another_session_is_not_found(world: World) -> None:
    mine, other = await world.configured(), await world.configured()
    run = await world.service.train(TrainRequest(mine.id, STATISTICAL))

    with pytest.raises(RunNotFound):
        await world.service.train(TrainRequest(other.id, STATISTICAL, run_id=run.run_id))


async def test_two_trains_at_once_share_one_run(world: World) -> None:
    session = await world.configured()

    one, other = await asyncio.gather(*[world.service.train(TrainRequest(session.id, STATISTICAL)) for _ in range(2)])

    assert one.run_id == other.run_id


async def test_idle_followers_cost_no_thread_and_no_descriptor(world: World) -> None:
    busy, waiting = await world.fitted(epochs=1000), await world.configured()
    await world.service.train(TrainRequest(busy.id, GRADIENT))
    queued = await world.service.train(TrainRequest(waiting.id, STATISTICAL))
    request = TrainRequest(waiting.id, STATISTICAL, run_id=queued.run_id)
    before = _threads() + _descriptors()

    followings = [await world.service.train(request) for _ in range(100)]
    tasks = [asyncio.create_task(anext(_after_the_first(following))) for following in followings]
    await asyncio.sleep(0.5)

    assert _threads() + _descriptors() - before < 20  # pools may have grown to their full size meanwhile
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _after_the_first(following):
    async for entry in following.events():
        if entry.seq > 1:
            yield entry


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
