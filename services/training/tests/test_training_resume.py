"""Runs whose worker or server dies."""

from __future__ import annotations

import asyncio

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import AttemptFenced, Unavailable, WorkerDied
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.requests import TrainRequest
from swath_training.launch.processes import Handle
from swath_training.runs.items import Event, Item
from swath_training.runs.model import Run
from swath_training.supervise.launcher import Notify, Worker

from .conftest import GRADIENT, STATISTICAL, World, Worlds, epoch_ended, epochs_of


async def test_a_killed_worker_changes_nothing_but_the_time(world: World) -> None:
    undisturbed, disturbed = await world.fitted(epochs=30), await world.fitted(epochs=30)
    expected = await world.train(undisturbed, GRADIENT)

    following = await world.service.train(TrainRequest(disturbed.id, GRADIENT))
    seen: list[pb.TrainResponse] = []
    async for entry in following.events():
        seen.append(response_of(entry))
        if epoch_ended(4)(seen[-1]):
            (await world.worker(following.run_id)).kill()

    run = await world.training._store.get(following.run_id)
    assert run.attempt == 2
    assert [told.message for told in seen if "worker died" in told.message] == [
        "Resuming after the worker died: it was killed by SIGKILL, without a word"
    ]
    # Whether the device is free at once, after the run before, is not the point.
    aside = ("Queued at position", "Resuming after the worker died")
    assert [told for told in seen if not told.message.startswith(aside)] == [
        told for told in expected if not told.message.startswith(aside)
    ]
    assert await _weights(world, disturbed.id) == await _weights(world, undisturbed.id)


async def test_a_restarted_server_finds_its_worker_again(world: World) -> None:
    session = await world.fitted(epochs=60)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    seen = await world.until(following, epoch_ended(2))
    worker = await world.worker(following.run_id)

    await world.restart()
    rest = await world.train(session, GRADIENT)

    run = await world.training._store.get(following.run_id)
    assert (run.attempt, run.worker_pid) == (1, worker.pid)
    assert rest[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert sorted({*epochs_of(seen), *epochs_of(rest)}) == list(range(1, 61))


async def test_a_restarted_server_resumes_a_run_whose_worker_is_gone(world: World) -> None:
    session = await world.fitted(epochs=60)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(2))
    worker = await world.worker(following.run_id)

    await world.training.close()
    worker.kill()
    await world.restart()
    rest = await world.train(session, GRADIENT)

    assert (await world.training._store.get(following.run_id)).attempt == 2
    assert rest[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert epochs_of(rest)[-1] == 60


async def test_a_worker_without_a_server_exits(worlds: Worlds) -> None:
    world = await worlds(worker_disconnect_timeout_s=0.5)
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    worker = await world.worker(following.run_id)

    await world.training.close()
    await asyncio.wait_for(worker.gone(), 20)

    assert not worker.alive
    await world.restart()


async def test_an_older_attempt_is_refused(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    store = world.training._store
    run = await store.get(following.run_id)
    later = await store.begin(run.id, "another")

    with pytest.raises(AttemptFenced, match=f"attempt {run.attempt} of run"):
        await store.record(run.id, run.attempt, [Item(run.item_seq + 1, Event(10_000, b""))])

    assert later.attempt == run.attempt + 1
    await asyncio.wait_for(Handle(run.worker_pid or 0, run.worker_started).gone(), 20)  # its link was refused too


async def test_a_drained_run_goes_on_after_the_next_start(world: World) -> None:
    session = await world.fitted(epochs=60)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    seen = await world.until(following, epoch_ended(2))
    stream = await world.service.train(TrainRequest(session.id, GRADIENT))
    streamed: list[pb.TrainResponse] = []

    drained = asyncio.create_task(world.training.drain())
    with pytest.raises(Unavailable, match="the server goes away"):
        async for entry in stream.events():
            streamed.append(response_of(entry))
    await drained
    attempts = (await world.training._store.get(following.run_id)).attempt
    await world.restart()
    rest = await world.train(session, GRADIENT)

    assert attempts == 1
    assert not any(told.status == pb.TRAIN_STATUS_CANCELLED for told in streamed)
    assert rest[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert sorted({*epochs_of(seen), *epochs_of(streamed), *epochs_of(rest)}) == list(range(1, 61))


async def test_a_worker_that_dies_again_and_again_fails_the_run_with_its_last_output(world: World) -> None:
    session = await world.configured()
    start = world.service._launcher.start

    async def start_a_stranger(run: Run, address: str, token: str, notify: Notify) -> Worker:
        return await start(run, address, "not the token", notify)

    world.service._launcher.start = start_a_stranger  # type: ignore[method-assign]

    with pytest.raises(WorkerDied, match=r"died 3 times without progress; it exited with code 76.*refused the worker"):
        await world.train(session, STATISTICAL)


async def test_runs_queue_for_their_device_and_say_where_they_stand(world: World) -> None:
    first, second, third = [await world.fitted(epochs=1000), await world.configured(), await world.configured()]
    await world.service.train(TrainRequest(first.id, GRADIENT))
    await world.service.train(TrainRequest(second.id, STATISTICAL))
    waiting = await world.service.train(TrainRequest(third.id, STATISTICAL))
    seen = await world.until(waiting, lambda told: True)

    await world.service.stop(first.id)
    rest = await world.train(third, STATISTICAL)

    assert seen[0].message == "Queued at position 2 for device cpu"
    assert rest[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_the_queue_outlives_the_server(world: World) -> None:
    first, second = await world.fitted(epochs=1000), await world.configured()
    await world.service.train(TrainRequest(first.id, GRADIENT))
    queued = await world.service.train(TrainRequest(second.id, STATISTICAL))
    await world.until(queued, lambda told: told.message.startswith("Queued"))

    await world.restart()
    await world.service.stop(first.id)

    assert (await world.ended(queued.run_id))[-1].status == pb.TRAIN_STATUS_COMPLETE


async def _weights(world: World, session_id: str) -> str | None:
    return (await world.sessions.get(session_id)).weights_digest
