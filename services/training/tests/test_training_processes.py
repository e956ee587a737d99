"""Runs of several processes, from the Train call to the session's weights."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import canonical
from swath.sessions.model import Session
from swath.storage.sql.engine import open_engine
from swath.training.v1 import runs_pb2
from swath_training.api.requests import TrainRequest
from swath_training.api.worker_servicer import worker_handler
from swath_training.launch.processes import Handle
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import Event
from swath_training.runs.model import Run, RunState, Trainer
from swath_training.supervise.device_queue import DeviceQueue
from swath_training.supervise.launcher import Notify, Worker

from .conftest import GRADIENT, STATISTICAL, World, config, epoch_ended, epochs_of

# Once is enough: what processes say to one another passes no database.
pytestmark = pytest.mark.parametrize("database", [Path()], ids=["sqlite"])


def shared(epochs: int = 3) -> dict[str, Any]:
    """A run of two processes, each with batches of one frame."""
    document = config(epochs=epochs)
    document["training"]["devices"] = 2
    document["data"]["batch_size"] = 1
    return document


async def configured(world: World, document: dict[str, Any]) -> Session:
    session = await world.fitted()
    await world.service.set_run_config(session.id, canonical(document))
    return await world.sessions.get(session.id)


async def lines_of(world: World, run_id: str) -> list[runs_pb2.LogLine]:
    async with aclosing(world.service.logs(run_id, 0)) as pages:
        return [runs_pb2.LogLine.FromString(line.payload) async for page in pages for line in page]


def others_of(worker: Handle) -> list[int]:
    """The processes that a worker has made of itself."""
    return [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]


def ended(told: list[pb.TrainResponse]) -> int:
    return told[-1].status


async def test_two_processes_bring_weights_and_log_lines(world: World) -> None:
    session = await configured(world, shared())
    following = await world.service.train(TrainRequest(session.id, GRADIENT))

    told = await world.ended(following.run_id)

    assert ended(told) == pb.TRAIN_STATUS_COMPLETE
    assert epochs_of(told) == [1, 2, 3]
    assert (await world.sessions.get(session.id)).weights_digest != session.weights_digest
    lines = await lines_of(world, following.run_id)
    assert [line.text for line in lines if line.facts.get("process") == "1"] == ["process begins"]
    assert "attempt ends" in [line.text for line in lines if "process" not in line.facts]


async def test_statistics_are_one_process_s_work(world: World) -> None:
    session = await world.session()
    await world.service.set_run_config(session.id, canonical(shared()))

    told = await world.train(session, STATISTICAL)

    assert ended(told) == pb.TRAIN_STATUS_COMPLETE


async def test_when_one_process_dies_all_do_and_the_run_goes_on(world: World) -> None:
    session = await configured(world, shared(epochs=8))
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(2))
    worker = await world.worker(following.run_id)
    other = Handle.of(others_of(worker)[0])

    other.kill()
    told = await world.ended(following.run_id)

    assert ended(told) == pb.TRAIN_STATUS_COMPLETE
    assert epochs_of(told) == list(range(1, 9))
    assert any("Resuming after the worker died" in each.message for each in told)
    texts = [line.text for line in await lines_of(world, following.run_id)]
    assert any("attempt breaks off" in text for text in texts)
    assert not worker.alive


async def test_when_the_first_process_dies_the_others_do(world: World) -> None:
    session = await configured(world, shared(epochs=8))
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(2))
    worker = await world.worker(following.run_id)
    other = Handle.of(others_of(worker)[0])

    worker.kill()
    told = await world.ended(following.run_id)

    assert ended(told) == pb.TRAIN_STATUS_COMPLETE
    await asyncio.wait_for(other.gone(), 10)


async def test_a_stop_stops_all(world: World) -> None:
    session = await configured(world, shared(epochs=200))
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    worker = await world.worker(following.run_id)
    other = Handle.of(others_of(worker)[0])

    await world.service.stop(session.id)
    told = await world.ended(following.run_id)

    assert ended(told) == pb.TRAIN_STATUS_CANCELLED
    await asyncio.wait_for(other.gone(), 10)
    assert (await world.sessions.get(session.id)).weights_digest != session.weights_digest


async def test_what_one_process_fails_of_ends_the_run_in_its_words(world: World) -> None:
    session = await configured(world, shared())
    frames = world.workspace.root / "frames"
    # The last batch of the epoch has one frame for each process, in an order that the seed decides.
    (frames / "frame3.npz").write_bytes(b"no archive")
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.ended(following.run_id)

    run = await world.training._store.get(following.run_id)

    assert run.state is RunState.FAILED
    assert run.attempt == 1
    assert "frame3.npz" in run.message


async def test_jobs_meet_by_the_variables_of_torchrun(world: World) -> None:
    session = await configured(world, shared(epochs=1))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((worker_handler(world.training.links),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        meeting = probe.getsockname()[1]

    async def start_as_a_job_does(run: Run, address: str, token: str, notify: Notify) -> Worker:
        task = {"ADDRESS": f"127.0.0.1:{port}", "RUN": run.id, "ATTEMPT": str(run.attempt), "TOKEN": token}
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting)}
        for rank in ("1", "0"):
            environment = {**os.environ, **{f"SWATH_WORKER_{name}": value for name, value in task.items()}}
            environment |= {**place, "RANK": rank}
            command = (sys.executable, "-m", "swath_training.worker")
            jobs.append(await asyncio.create_subprocess_exec(*command, env=environment))
        return Handle.of(jobs[-1].pid)

    jobs: list[asyncio.subprocess.Process] = []
    world.service._launcher.start = start_as_a_job_does  # type: ignore[method-assign]
    following = await world.service.train(TrainRequest(session.id, GRADIENT))

    told = await world.ended(following.run_id)
    other, *_ = await asyncio.gather(*(job.wait() for job in jobs))

    assert ended(told) == pb.TRAIN_STATUS_COMPLETE
    assert other == 0
    assert "1" in {line.facts.get("process") for line in await lines_of(world, following.run_id)}
    await server.stop(None)


async def test_a_replica_takes_over_runs_that_its_devices_suffice_for(tmp_path: Path, database: Path) -> None:
    engine = open_engine(tmp_path / "training.db")
    gone, here = RunStore(engine, "gone", lease_s=-1.0), RunStore(engine, "here")
    await gone.prepare()
    for device in ("cpu+cpu", "cuda:0", "cuda:0+cuda:1"):
        run = Run(device, device, "", RunState.QUEUED, Trainer.GRADIENT, "a", "spec", "pipeline", None, device)
        await gone.create(run, Event(0, b""))

    taken = await here.leases.adopt(["cpu", "cuda:0"], [])

    assert {run.id for run in taken} == {"cpu+cpu", "cuda:0"}
    await gone.close()
    await here.close()


def test_a_run_waits_for_all_the_devices_that_it_needs(database: Path) -> None:
    queue = DeviceQueue()
    one, both, other = (
        queue.enter("a", {"cuda:0"}),
        queue.enter("b", {"cuda:0", "cuda:1"}),
        queue.enter("c", {"cuda:1"}),
    )
    assert (one.position, both.position, other.position) == (0, 1, 1)

    one.leave()

    assert (both.position, other.position) == (0, 1)
    assert queue.idle(["cuda:0", "cuda:1", "cpu"]) == {"cpu"}
