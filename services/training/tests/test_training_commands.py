"""What is asked of runs that are under way, whichever replica is asked, and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import aclosing
from typing import Any

import pytest

from swath.documents import CommandState, TrainRunDocument, parse
from swath.engine import data
from swath.engine.stored import open_pipeline
from swath.engine.training import Command, Event, Journal, RunSpec, Trainer, run
from swath.errors import InvalidInput, NotFound, Precondition, RunNotFound
from swath.training.v1 import events_pb2
from swath_training.api.requests import TrainRequest
from swath_training.runs.model import CheckpointKind, Run, RunCommand, RunState
from swath_training.supervise.active_run import ActiveRun

from .conftest import GRADIENT, STATISTICAL, World, epoch_ended

LONG = 10_000


async def settled(world: World, run_id: str, number: int) -> RunCommand:
    """Wait until a worker has reported on a command."""
    async with asyncio.timeout(60):
        while True:
            for command in await world.service.reading.commands(run_id, number - 1):
                if command.number == number and command.state in (CommandState.DONE, CommandState.REFUSED):
                    return command
            await asyncio.sleep(0.05)


async def started(world: World, epochs: int = LONG) -> str:
    """Start a gradient run that somebody follows, and wait until it trains."""
    session = await world.fitted(epochs=epochs)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    return following.run_id


def active(world: World, run_id: str) -> ActiveRun:
    return world.service.supervisor._active_runs[run_id]


async def kill_worker(world: World, run_id: str) -> None:
    """Kill the worker of the present attempt and wait for the next one."""
    attempt = active(world, run_id).attempt
    worker = await world.worker(run_id)
    os.kill(worker.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while active(world, run_id).attempt == attempt or active(world, run_id).connection is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def log_of(world: World, run_id: str) -> list[events_pb2.RunEvent]:
    async with aclosing(world.service.reading.attach(run_id, 0, follow=False)) as logged:
        return [events_pb2.RunEvent.FromString(entry.payload) async for entry in logged]


async def stopped(world: World, run_id: str) -> Run:
    await world.service.commanding.stop(run_id)
    await world.ended(run_id)
    return await world.service.reading.own(run_id)


async def replayed(world: World, found: Run, kept: Any = None) -> dict[str, Any]:
    """Run what a run's log says in this process, up to its last step, and return the weights."""
    document: TrainRunDocument = parse("trainrun", await world.artifacts.get(found.spec_digest))
    weights = await world.artifacts.get(found.weights_digest) if found.weights_digest else None
    pipeline = open_pipeline(await world.artifacts.get(found.pipeline_digest), weights)
    commands = await world.service.reading.commands(found.id, 0)
    log = await log_of(world, found.id)
    batches = sum(event.moment.hook == events_pb2.RunMoment.HOOK_TRAIN_PROGRESS for event in log)
    seen: list[Event] = []

    class Replay(Journal):
        def keep(self, snapshot: bytes, events: int, *, epoch: int, step: int) -> str:
            return ""

        def load(self, digest: str) -> bytes:
            return world.artifacts.part("checkpoints").get_sync(digest)

        def stop_requested(self) -> bool:
            return sum(str(event.event and event.event.hook) == "train_progress" for event in seen) >= batches

    journal = Replay(
        Command(each.number, each.kind, each.arguments, each.by, each.position)
        for each in commands
        if each.position is not None
    )
    spec = RunSpec(Trainer.GRADIENT, document, document.training, has_weights=True)
    read = world.workspace.reader()
    module = data.build(document.data, read, seed=spec.seed)
    outcome = await asyncio.to_thread(run, spec, module, pipeline, seen.append, journal, commands=journal)
    return outcome.state


async def result_of(world: World, found: Run) -> dict[str, Any]:
    assert found.result_pipeline
    assert found.result_weights
    pipeline = open_pipeline(
        await world.artifacts.get(found.result_pipeline), await world.artifacts.get(found.result_weights)
    )
    return pipeline.state()


async def test_a_live_run_is_paused_changed_evaluated_saved_restored_and_resumed(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)
    before = await world.service.reading.own(run_id)

    paused = await settled(world, run_id, (await ask.pause(run_id, "")).number)
    waiting = await world.service.reading.own(run_id)
    await ask.change(run_id, "", {"learning_rate": 0.002, "weight_decay": 0.1})
    evaluated = await ask.evaluate(run_id, "", "val", [], 0)
    await ask.save_checkpoint(run_id, "")
    changed = await settled(world, run_id, 2)
    measured = await settled(world, run_id, evaluated.number)
    saved = await settled(world, run_id, 4)
    still = await world.service.reading.own(run_id)
    await ask.resume(run_id, "")
    await settled(world, run_id, 5)
    resumed = await world.service.reading.own(run_id)

    assert waiting.paused
    assert still.paused
    assert still.step == waiting.step == paused.step == changed.step
    assert not resumed.paused
    assert resumed.hyperparameters["learning_rate"] == 0.002
    assert re.fullmatch("[0-9a-f]{24}", resumed.hash)
    assert resumed.hash[8:] == before.hash[8:]
    assert resumed.hash[:8] != before.hash[:8]
    assert {"val_loss", "val/loss"} <= set(measured.progress["metrics"])
    checkpoint = next(
        each for each in await world.service.reading.checkpoints(run_id) if each.kind is CheckpointKind.USER
    )
    assert (checkpoint.step, checkpoint.digest) == (saved.step, saved.progress["digest"])

    await ask.restore(run_id, "", f"{checkpoint.hash}@@weights_step={checkpoint.step + 1}")
    restored = await settled(world, run_id, 6)
    assert restored.state is CommandState.DONE, restored.message
    over = await stopped(world, run_id)
    assert over.state is RunState.CANCELLED
    told = [event.command.kind for event in await log_of(world, run_id) if event.HasField("command")]
    assert told[:3] == [1, 3, 4]


async def test_after_kills_the_log_replays_to_the_same_bits(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)
    await ask.change(run_id, "", {"learning_rate": 0.05})
    await settled(world, run_id, 1)
    await kill_worker(world, run_id)
    await ask.pause(run_id, "")
    await settled(world, run_id, 2)
    await kill_worker(world, run_id)
    await ask.change(run_id, "", {"learning_rate": 0.001, "batch_size": 3})
    await ask.resume(run_id, "")
    await settled(world, run_id, 4)
    await kill_worker(world, run_id)
    await asyncio.sleep(0.3)
    over = await stopped(world, run_id)

    commands = await world.service.reading.commands(run_id, 0)
    assert [(command.number, command.state) for command in commands] == [
        (number, CommandState.DONE) for number in range(1, 5)
    ]
    expected = await result_of(world, over)
    again = await replayed(world, over)
    assert all(again[node][key].equal(expected[node][key]) for node in expected for key in expected[node])


async def test_a_command_that_is_acknowledged_is_not_lost_with_the_worker(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)
    worker = await world.worker(run_id)
    os.kill(worker.pid, signal.SIGSTOP)
    command = await ask.change(run_id, "mine", {"weight_decay": 0.25})
    os.kill(worker.pid, signal.SIGKILL)

    done = await settled(world, run_id, command.number)

    assert done.state is CommandState.DONE
    assert (await world.service.reading.own(run_id)).hyperparameters["weight_decay"] == 0.25
    await stopped(world, run_id)


async def test_a_paused_run_outlives_a_restart_of_the_service(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)
    await ask.pause(run_id, "")
    await settled(world, run_id, 1)
    step = (await world.service.reading.own(run_id)).step

    await world.restart()

    async with asyncio.timeout(60):
        while not world.service.supervisor.holds(run_id) or active(world, run_id).connection is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    found = await world.service.reading.own(run_id)
    assert (found.paused, found.step) == (True, step)
    await world.service.commanding.resume(run_id, "")
    done = await settled(world, run_id, 2)
    assert done.step == step
    await stopped(world, run_id)


async def test_a_call_that_is_repeated_asks_once(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)

    first = await ask.change(run_id, "once", {"learning_rate": 0.5})
    second = await ask.change(run_id, "once", {"learning_rate": 0.5})

    assert first.number == second.number == 1
    with pytest.raises(InvalidInput, match=r"'once' of run .* belongs to another command \(change, number 1\)"):
        await ask.pause(run_id, "once")
    await stopped(world, run_id)


async def test_what_cannot_be_asked(world: World) -> None:
    ask = world.service.commanding
    run_id = await started(world)

    with pytest.raises(InvalidInput, match=r"'learning_rat' cannot be changed .* did you mean 'learning_rate'"):
        await ask.change(run_id, "", {"learning_rat": 0.1})
    with pytest.raises(InvalidInput, match=r"'batch_size' must be a whole number of at least 1 .* got -4"):
        await ask.change(run_id, "", {"batch_size": -4})
    with pytest.raises(NotFound, match="no split 'tst' to evaluate; it has train, val, test; did you mean 'test'"):
        await ask.evaluate(run_id, "", "tst", [], 0)
    with pytest.raises(NotFound, match="no checkpoint of hash 'abc'"):
        await ask.restore(run_id, "", "abc")
    with pytest.raises(InvalidInput, match="must be followed by a step, 0 or more, got 'abc'"):
        await ask.restore(run_id, "", "abc@@weights_step=abc")
    with pytest.raises(RunNotFound):
        await ask.pause("nothing", "")
    await stopped(world, run_id)
    with pytest.raises(Precondition, match="is cancelled: nothing can be asked of it any more"):
        await ask.pause(run_id, "")
    assert await world.service.reading.commands(run_id, 0) == []


async def test_runs_are_listed_newest_first_in_pages(world: World) -> None:
    session = await world.configured()
    for name in ("first", "second", "third"):
        await world.train(session, STATISTICAL, experiment="mine", name=name)

    page, token = await world.service.reading.runs(experiments=["mine"], page_size=2)
    rest, end = await world.service.reading.runs(experiments=["mine"], page_size=2, page_token=token)

    assert [found.name for found in (*page, *rest)] == ["third", "second", "first"]
    assert not end
    assert (await world.service.reading.own(page[0].id[:12])).id == page[0].id
    assert await world.service.reading.runs(states=[RunState.FAILED]) == ([], "")
