"""What becomes of runs when calls, databases and replicas fail in the middle of something."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2
from swath.engine.graph.ports import Stage
from swath.engine.training import (
    CalibrationOutcome,
    CheckpointRestored,
    DeciderCalibration,
    DeciderStatus,
    EvaluationOutcome,
    EvaluationStatus,
    Event,
    Hook,
    Lifecycle,
    Position,
)
from swath.errors import Unavailable, WorkerDied
from swath.rpc.server.methods import whole_handler
from swath.runtime.logs import Telemetry
from swath.sessions.model import Session
from swath.storage.sql.engine import open_engine
from swath.training.v1 import worker_pb2 as pb
from swath_training.api.adapters.train_responses import response
from swath_training.api.requests import TrainRequest
from swath_training.api.worker_servicer import _Connection
from swath_training.link import client, exit_codes
from swath_training.link.client import WorkerLink
from swath_training.link.endpoint import local
from swath_training.link.run_events import run_event
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import Ack, Failure, Welcome
from swath_training.runs.items import Event as RunEvent
from swath_training.runs.model import Run, RunState, StopCause, Trainer
from swath_training.supervise.launcher import Notify, Worker
from swath_training.worker import attempt

from .conftest import GRADIENT, STATISTICAL, World, Worlds, epoch_ended

COMPLETE, CANCELLED = cuvis_ai_pb2.TRAIN_STATUS_COMPLETE, cuvis_ai_pb2.TRAIN_STATUS_CANCELLED


async def test_a_call_that_is_cancelled_while_it_begins_a_run_leaves_none_behind(worlds: Worlds) -> None:
    world = await worlds(poll_interval_s=0.1)
    session = await world.configured()
    change, changed = world.sessions.change, asyncio.Event()

    async def change_and_say_nothing(session_id: str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        await change(session_id, decide)
        changed.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.sessions.change = change_and_say_nothing  # type: ignore[method-assign]
    call = asyncio.create_task(world.service.train(TrainRequest(session.id, STATISTICAL)))
    await changed.wait()
    call.cancel()
    world.sessions.change = change  # type: ignore[method-assign]

    # The session has the run, which nobody has begun to drive yet.
    async with asyncio.timeout(30):
        last_notice = await world.train(session, STATISTICAL)
    assert last_notice[-1].status == COMPLETE
    assert (await world.sessions.get(session.id)).active_run is None


async def test_a_run_that_never_got_its_session_is_cancelled(worlds: Worlds) -> None:
    world = await worlds(poll_interval_s=0.1)
    session = await world.configured()
    run = Run(
        "lost", session.id, "", RunState.QUEUED, Trainer.STATISTICAL, "arguments", "spec", "pipeline", None, "cpu"
    )
    await world.training._store.create(run, RunEvent(0, b""))  # and the process that was to go on had its answer lost

    async with asyncio.timeout(30):
        assert (await world.ended("lost"))[-1].status == CANCELLED


async def test_a_worker_whose_process_could_not_be_written_down_is_not_left_running(world: World) -> None:
    session = await world.configured()
    store, launcher = world.training._store, world.service._launcher
    set_worker, start = store.set_worker, launcher.start
    started: list[Worker] = []
    alive_at_start: list[bool] = []

    async def set_later(*arguments: Any) -> None:
        store.set_worker = set_worker  # type: ignore[method-assign]
        raise Unavailable("the database is away")

    async def start_and_remember(*arguments: Any) -> Worker:
        alive_at_start.extend(each.alive for each in started)
        started.append(await start(*arguments))
        return started[-1]

    store.set_worker = set_later  # type: ignore[method-assign]
    launcher.start = start_and_remember  # type: ignore[method-assign]

    assert (await world.train(session, STATISTICAL))[-1].status == COMPLETE
    assert alive_at_start == [False]


async def test_an_abandoned_run_stops_though_the_database_was_away_at_that_moment(worlds: Worlds) -> None:
    world = await worlds(attach_window_s=0.2)
    session = await world.fitted(epochs=1000)
    leases = world.training._store.leases
    followed_for = leases.followed_for

    async def away(run_id: str) -> float:
        leases.followed_for = followed_for  # type: ignore[method-assign]
        raise Unavailable("the database is away")

    leases.followed_for = away  # type: ignore[method-assign]
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))

    async with asyncio.timeout(30):
        assert (await world.ended(following.run_id))[-1].status == CANCELLED


async def test_streams_are_sent_away_though_the_database_is(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))

    async def away() -> None:
        raise Unavailable("the database is away")

    world.training._store.leases.release = away  # type: ignore[method-assign]
    request = TrainRequest(session.id, GRADIENT, run_id=following.run_id)
    stream = (await world.service.train(request)).events()
    await world.training.drain()

    with pytest.raises(Unavailable, match="the server goes away"):
        async with asyncio.timeout(10):
            async for _ in stream:
                pass


async def test_a_service_that_closes_slowly_keeps_its_workers(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    before = await world.worker(following.run_id)
    streams = world.service._streams
    close = streams.close

    async def close_slowly() -> None:
        await asyncio.sleep(2)
        await close()

    streams.close = close_slowly  # type: ignore[method-assign]
    await world.restart()

    assert before.alive
    assert (await world.training._store.get(following.run_id)).attempt == 1


async def test_runs_without_a_window_cost_no_time(worlds: Worlds) -> None:
    world = await worlds(attach_window_s=0.0)
    said: list[list[str]] = []

    async def say(run_ids: list[str]) -> None:
        said.append(run_ids)

    world.service._streams._report_waiting = say  # type: ignore[method-assign]
    await asyncio.sleep(0.5)
    assert len(said) < 10


async def test_a_stopped_run_ends_where_nobody_has_its_device(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "training.db")
    gone, here = RunStore(engine, "gone", lease_s=-1.0), RunStore(engine, "here")
    await gone.prepare()
    run = Run("one", "session", "", RunState.QUEUED, Trainer.STATISTICAL, "a", "spec", "pipeline", None, "cuda:7")
    for each in (run, replace(run, id="other")):
        await gone.create(each, RunEvent(0, b""))
    await here.ask_stop("one", StopCause.CLIENT)

    assert [each.id for each in await here.leases.adopt(["cpu"], [])] == ["one"]
    await gone.close()
    await here.close()


async def test_the_last_output_names_files_as_clients_know_them(world: World) -> None:
    world.workspace.paths.public = "/workspace"
    session = await world.configured()
    launcher = world.service._launcher
    start = launcher.start

    async def start_a_stranger(run: Run, address: str, token: str, notify: Notify) -> Worker:
        return await start(run, address, "not the token", notify)

    async def last_output(run: Run) -> str:
        return f"no room for {world.workspace.root}/scores.npy"

    launcher.start = start_a_stranger  # type: ignore[method-assign]
    launcher.last_output = last_output  # type: ignore[method-assign]

    with pytest.raises(WorkerDied, match=r"no room for /workspace/scores\.npy"):
        await world.train(session, STATISTICAL)


def test_what_nobody_knows_stays_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(attempt, "_Attempt", fail)
    welcome = Welcome(Trainer.GRADIENT, b"", "", None, None, "cpu", 0, None)
    body = attempt._attempt(None, welcome, "run", 2, None)  # type: ignore[arg-type]

    assert isinstance(body, Failure)
    assert body.message == "Training failed: RuntimeError; the log of run run has its cause (swath logs run)"


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (errno.ENOSPC, "RESOURCE_EXHAUSTED", "STORAGE_REFUSED"),
        (errno.EROFS, "FAILED_PRECONDITION", "STORAGE_DENIED"),
        (errno.EMFILE, "UNAVAILABLE", "UNAVAILABLE"),
    ],
)
def test_what_the_system_refuses_a_worker_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, number: int, code: str, reason: str
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(number, "no", "/var/lib/swath/checkpoint")

    monkeypatch.setattr(attempt, "_Attempt", fail)
    welcome = Welcome(Trainer.GRADIENT, b"", "", None, None, "cpu", 0, None)
    body = attempt._attempt(None, welcome, "run", 2, None)  # type: ignore[arg-type]

    assert isinstance(body, Failure)
    assert (body.code, body.reason) == (code, reason)
    assert "/var/lib" not in body.message


def test_storage_that_is_away_for_long_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any) -> None:
        raise Unavailable("the bucket is away")

    left: list[str] = []

    def link(*arguments: Any) -> Any:
        welcome = Welcome(Trainer.GRADIENT, b"", "", None, None, "cpu", 0, None)
        return SimpleNamespace(connect=lambda: welcome, leave=lambda: left.append("left"), log=logging.NullHandler())

    for name in ("configure_logs", "configure_tracing", "faulthandler.enable", "logging.captureWarnings"):
        monkeypatch.setattr(f"{attempt.__name__}.{name}", lambda *arguments: None)
    monkeypatch.setattr(attempt, "_Attempt", fail)
    monkeypatch.setattr(attempt, "WorkerLink", link)
    code = attempt.main(local("unix:nowhere"), "run", 1, "token", Telemetry(), sys.stderr)

    logging.getLogger().handlers.pop()
    assert (code, left) == (exit_codes.AWAY, ["left"])
    assert "the bucket is away" in capfd.readouterr().err


@pytest.mark.parametrize(
    "event",
    [
        Lifecycle(
            Hook.CHECKPOINT_RESTORED, checkpoint=CheckpointRestored(False, "/cache/a.ckpt", reason="/cache/a.ckpt")
        ),
        Lifecycle(
            Hook.EVALUATION_END, evaluation=EvaluationOutcome(Stage.VAL, EvaluationStatus.FAILED, error="/cache/b")
        ),
        Lifecycle(
            Hook.CALIBRATION_END,
            calibration=CalibrationOutcome(
                Stage.VAL,
                applicable=True,
                phase_detail="/cache/c",
                deciders=(DeciderCalibration("decider", "Decider", DeciderStatus.SKIPPED, skip_detail="/cache/d"),),
            ),
        ),
    ],
    ids=lambda event: str(event.hook),
)
def test_events_name_files_as_clients_know_them(event: Lifecycle) -> None:
    last = response(run_event(Event(Position(), event=event), lambda text: text.replace("/cache/", "/workspace/")))
    assert "/workspace/" in str(last)
    assert "/cache/" not in str(last)


# A service that is frozen: its links stay, and nothing comes through them


class Frozen:
    """A service that welcomes a worker and says nothing more."""

    async def Connect(
        self, requests: AsyncIterator[pb.ConnectRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        spec = pb.Spec(trainer=1, artifacts=b"{}", workspace=b"{}")
        yield pb.ConnectResponse(welcome=pb.Welcome(spec=spec, heartbeat_s=0.1, lost_after_s=0.5))
        await asyncio.Event().wait()


async def test_a_worker_whose_service_is_frozen_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((whole_handler("swath.training.v1.WorkerLink", Frozen()),))
    server.add_insecure_port(f"unix:{tmp_path}/link.sock")
    await server.start()

    def leave(code: int, text: str) -> None:
        raise ProcessLookupError(code)

    monkeypatch.setattr(client, "_exit", leave)
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock"), "run", 1, "token")
    with pytest.raises(ProcessLookupError, match=str(exit_codes.LOST)):
        async with asyncio.timeout(10):
            await link._stay_connected()  # what its thread does
    await server.stop(None)


async def test_a_service_that_lives_says_so_all_the_time() -> None:
    connection = _Connection(0.01)
    connection.acked = 7
    async with asyncio.timeout(5):
        assert await connection.next() == Ack(7)
