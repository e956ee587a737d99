"""What workers log reaches whoever owns their run, wherever the worker was, and though it is gone."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TextIO, cast

import grpc
import pytest

from swath.errors import RunNotFound, Unavailable
from swath.rpc.caller import Caller, acting_as
from swath.rpc.server.methods import whole_handler
from swath.storage.sql.engine import open_engine
from swath.training.v1 import runs_pb2
from swath.training.v1 import worker_pb2 as pb
from swath_training.api.requests import TrainRequest
from swath_training.api.worker_servicer import worker_handler
from swath_training.launch.processes import Handle
from swath_training.link.client import WorkerLink
from swath_training.link.endpoint import local
from swath_training.link.worker_log import WorkerLog
from swath_training.runs.database.log_store import ROW_BYTES
from swath_training.runs.database.store import RunStore
from swath_training.runs.database.tables import SCHEMA
from swath_training.runs.items import Event, Line, Result
from swath_training.runs.model import LoggedLine, Run, RunState, Trainer
from swath_training.supervise.launcher import Notify, Worker
from swath_training.worker.stdio_capture import StdioCapture

from .conftest import GRADIENT, STATISTICAL, World, config, epoch_ended, tables_in

ALICE, BOB = Caller("alice", "token"), Caller("bob", "token")


def _parsed(line: LoggedLine) -> tuple[int, str]:
    return line.attempt, runs_pb2.LogLine.FromString(line.payload).text


async def _logs(world: World, run_id: str, after: int = 0, *, follow: bool = False) -> list[tuple[int, str]]:
    async with aclosing(world.service.logs(run_id, after, follow=follow)) as pages:
        return [_parsed(line) async for page in pages for line in page]


async def test_lines_of_a_worker_outlive_it_and_its_server(world: World) -> None:
    session = await world.configured()
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(following.run_id)
    await world.restart()

    assert await _logs(world, following.run_id) == [(1, "attempt begins"), (1, "attempt ends")]
    assert await _logs(world, following.run_id, after=1) == [(1, "attempt ends")]


async def test_a_follower_sees_each_line_of_each_attempt_until_the_run_is_over(world: World) -> None:
    session = await world.fitted(epochs=40)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    logs = asyncio.create_task(_logs(world, following.run_id, follow=True))
    await world.until(following, epoch_ended(3))
    (await world.worker(following.run_id)).kill()
    await world.ended(following.run_id)

    begun, *between, ended = await asyncio.wait_for(logs, 10)
    assert (begun, ended) == ((1, "attempt begins"), (2, "attempt ends"))
    assert (2, "attempt begins") in between


# Once is enough: it takes seconds to import torch.
@pytest.mark.parametrize("database", [Path()], ids=["sqlite"])
async def test_a_worker_in_a_job_is_heard_too(world: World) -> None:
    session = await world.configured()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((worker_handler(world.training.links),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def start_as_a_job_does(run: Run, address: str, token: str, notify: Notify) -> Worker:
        task = {"ADDRESS": f"127.0.0.1:{port}", "RUN": run.id, "ATTEMPT": str(run.attempt), "TOKEN": token}
        environment = {**os.environ, **{f"SWATH_WORKER_{name}": value for name, value in task.items()}}
        jobs.append(
            await asyncio.create_subprocess_exec(sys.executable, "-m", "swath_training.worker", env=environment)
        )
        return Handle.of(jobs[-1].pid)

    jobs: list[asyncio.subprocess.Process] = []
    world.service._launcher.start = start_as_a_job_does  # type: ignore[method-assign]
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    assert await world.ended(following.run_id)
    assert await jobs[0].wait() == 0
    await server.stop(None)
    logs = await _logs(world, following.run_id)
    assert logs == [(1, "attempt begins"), (1, "attempt ends")]


async def test_a_run_that_fails_says_where(world: World) -> None:
    session = await world.configured(data=config()["data"] | {"params": {"universe_csv": "frames/nowhere.csv"}})
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(following.run_id)

    texts = [text for _, text in await _logs(world, following.run_id)]
    assert "Traceback (most recent call last):" in texts
    assert any("nowhere.csv" in text for text in texts)
    assert texts[-2:] == ["training failed", "attempt ends"]


async def test_lines_that_cannot_be_written_hold_no_run_up_and_come_later(world: World) -> None:
    session = await world.configured()
    lines = world.training._store.lines
    append = lines.append

    async def away(*arguments: Any) -> None:
        lines.append = append  # type: ignore[method-assign]
        raise Unavailable("the database is away")

    lines.append = away  # type: ignore[method-assign]
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    await world.ended(following.run_id)

    assert await _logs(world, following.run_id) == [(1, "attempt begins"), (1, "attempt ends")]


async def test_a_server_that_goes_away_sends_its_followers_to_another_one(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    logs = asyncio.create_task(_logs(world, following.run_id, follow=True))
    await world.until(following, epoch_ended(1))

    await world.service.drain()

    with pytest.raises(Unavailable, match="lines that follow"):
        await logs


async def test_a_log_is_there_for_the_owner_of_the_run_alone(world: World) -> None:
    session = await world.session()
    run = Run("run", session.id, "alice", RunState.QUEUED, Trainer.STATISTICAL, "", "", "", None, "cpu")
    await world.training._store.create(run, Event(0, b""))

    with acting_as(ALICE):
        assert await _logs(world, "run") == []
    with acting_as(BOB), pytest.raises(RunNotFound) as others:
        await _logs(world, "run")
    with acting_as(BOB), pytest.raises(RunNotFound) as nobodys:
        await _logs(world, "walk")
    assert others.value.message == nobodys.value.message.replace("walk", "run")


# On disk


@pytest.fixture
async def store(database: Path | str) -> AsyncIterator[RunStore]:
    """A store that keeps ten lines of 100 bytes a run."""
    if isinstance(database, str):
        await tables_in(database)
    engine = open_engine(database, schema=SCHEMA.name)
    store = RunStore(engine, log_bytes=10 * (100 + ROW_BYTES))
    await store.prepare()
    yield store
    await store.close()


@pytest.fixture
async def run(store: RunStore) -> Run:
    """A run in its first attempt."""
    run = Run("run", "session", "", RunState.QUEUED, Trainer.STATISTICAL, "", "", "", None, "cpu")
    await store.create(run, Event(0, b""))
    return await store.begin(run.id, "first")


def _lines(*numbers: int) -> list[Line]:
    return [Line(number, b"x" * 100) for number in numbers]


async def _numbers(store: RunStore) -> list[tuple[int, int]]:
    return [(line.attempt, line.number) for line in await store.lines.after("run", 0)]


async def test_a_log_keeps_its_last_lines(store: RunStore, run: Run) -> None:
    for number in range(1, 101):
        await store.lines.append("run", 1, _lines(number))

    kept = [number for _, number in await _numbers(store)]
    assert kept == list(range(101 - len(kept), 101))
    assert 8 <= len(kept) <= 10
    assert (await store.get("run")).line_bytes == len(kept) * (100 + ROW_BYTES)


async def test_a_line_that_is_larger_than_the_log_is_kept_alone(store: RunStore, run: Run) -> None:
    await store.lines.append("run", 1, [*_lines(1), Line(2, b"x" * 100_000)])

    assert await _numbers(store) == [(1, 2)]


async def test_lines_that_come_again_or_from_an_attempt_that_is_over_are_passed_over(store: RunStore, run: Run) -> None:
    await store.lines.append("run", 1, _lines(1, 2, 2))
    await store.lines.append("run", 1, _lines(1, 2, 5))
    await store.begin("run", "second")
    await store.lines.append("run", 1, _lines(6))
    await store.lines.append("run", 2, _lines(6))

    assert await _numbers(store) == [(1, 1), (1, 2), (1, 5), (2, 6)]


async def test_lines_go_with_their_run(store: RunStore, run: Run) -> None:
    await store.lines.append("run", 1, _lines(1))
    await store.end("run", RunState.COMPLETE)
    await asyncio.sleep(0.01)

    assert await store.forget(0.0) == ["run"]
    assert await _numbers(store) == []


# In the worker


@pytest.fixture
def log() -> WorkerLog:
    """Keeps 1000 bytes."""
    return WorkerLog(max_bytes=1000)


def _logger(log: WorkerLog) -> logging.Logger:
    logger = logging.Logger("node")
    logger.addHandler(log)
    return logger


def test_a_line_has_all_that_there_is_to_know(log: WorkerLog) -> None:
    log.shown = lambda text: text.replace("/tmp/cache", "/workspace")
    try:
        raise ValueError("no band \udcff")
    except ValueError:
        _logger(log).exception("cannot read %s", "/tmp/cache/scene.npz")
    log.begin(7)

    (kept,) = log.after(0)
    line = runs_pb2.LogLine.FromString(kept.payload)
    assert (kept.number, line.level, line.logger) == (8, "error", "node")
    assert line.text == "cannot read /workspace/scene.npz"
    assert line.exception.endswith("ValueError: no band \\udcff")
    assert line.HasField("time")


def test_the_last_lines_are_kept_and_keep_their_numbers(log: WorkerLog) -> None:
    log.begin(0)
    for number in range(1, 101):
        _logger(log).warning("line %d", number)

    kept = log.after(0)
    assert [line.number for line in kept] == list(range(101 - len(kept), 101))
    assert sum(len(line.payload) for line in kept) <= 1000
    assert runs_pb2.LogLine.FromString(kept[-1].payload).text == "line 100"
    assert log.after(99) == kept[-1:]
    assert log.after(100) == []


def test_lines_are_taken_as_many_as_fit_into_a_message(log: WorkerLog) -> None:
    log.begin(0)
    for number in range(1, 6):
        _logger(log).warning("line %d", number)

    size = len(log.after(0)[0].payload) + 16
    assert [line.number for line in log.after(0, 3 * size)] == [1, 2, 3]
    assert [line.number for line in log.after(3, 1)] == [4]


def test_what_is_printed_is_logged_line_by_line(log: WorkerLog) -> None:
    log.begin(0)
    stream = io.StringIO()
    printed = StdioCapture(stream, "stdout", log)
    print("one", 1, file=cast(TextIO, printed))
    printed.writelines(["bar 1/2\rbar 2/2\r\n\n", "no end"])

    lines = [runs_pb2.LogLine.FromString(line.payload) for line in log.after(0)]
    assert [(line.logger, line.level, line.text) for line in lines] == [
        ("stdout", "info", "one 1"),
        ("stdout", "info", "bar 2/2"),
    ]
    assert printed.getvalue() == "one 1\nbar 1/2\rbar 2/2\r\n\nno end"


class Forgetful:
    """A service whose first link breaks after one message, of which it has written down one line."""

    def __init__(self) -> None:
        self.links = 0
        self.told: list[tuple[int, str, list[int]]] = []

    async def Connect(
        self, requests: AsyncIterator[pb.ConnectRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        await anext(requests)
        self.links += 1
        spec = pb.Spec(trainer=1, artifacts=b"{}", workspace=b"{}")
        welcome = pb.Welcome(spec=spec, heartbeat_s=60, lost_after_s=60, logged=4 + self.links)
        yield pb.ConnectResponse(welcome=welcome)
        async for request in requests:
            kind = request.WhichOneof("message") or ""
            self.told.append((self.links, kind, [line.number for line in request.lines.lines]))
            if self.links == 1:
                return
            if kind == "items":
                yield pb.ConnectResponse(release=pb.Release())


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[Forgetful]:
    """It is at `tmp_path/link.sock`."""
    service, server = Forgetful(), grpc.aio.server()
    server.add_generic_rpc_handlers((whole_handler("swath.training.v1.WorkerLink", service),))
    server.add_insecure_port(f"unix:{tmp_path}/link.sock")
    await server.start()
    yield service
    await server.stop(None)


async def test_what_was_lost_with_a_link_is_sent_again_and_all_of_it_before_the_end(
    forgetful: Forgetful, tmp_path: Path
) -> None:
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock"), "run", 1, "token")
    logger = _logger(link.log)

    logger.warning("before the link is there")
    logger.warning("before the link is there")
    await asyncio.to_thread(link.connect)
    while forgetful.links < 2:  # noqa: ASYNC110 - it is the worker's thread that dials
        await asyncio.sleep(0.01)
    logger.warning("at the end")
    link.put(Result("weights", "pipeline", Event(1, b"")))
    await asyncio.to_thread(link.finish)

    assert forgetful.told[0] == (1, "lines", [6, 7])
    assert [number for links, _, numbers in forgetful.told if links == 2 for number in numbers] == [7, 8]
    assert forgetful.told[-1] == (2, "items", [])


async def test_a_worker_that_leaves_says_everything_first(forgetful: Forgetful, tmp_path: Path) -> None:
    forgetful.links = 1
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock"), "run", 1, "token")
    logger = _logger(link.log)

    await asyncio.to_thread(link.connect)
    for _ in range(2):
        logger.warning("storage is away")
    await asyncio.to_thread(link.leave)

    assert [number for _, _, numbers in forgetful.told for number in numbers] == [7, 8]
