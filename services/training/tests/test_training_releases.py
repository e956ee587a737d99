"""The event log between releases: what the one before has written is read, and it reads what this one writes."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.runtime.logs import Telemetry
from swath.storage.sql.engine import open_engine
from swath.storage.sql.engine import run as in_database
from swath.training.v1 import worker_pb2
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.requests import TrainRequest
from swath_training.link import exit_codes
from swath_training.link.endpoint import local
from swath_training.link.messages import item_of, welcome_message, welcome_of
from swath_training.runs.database.store import RunStore
from swath_training.runs.database.tables import SCHEMA
from swath_training.runs.items import Event, Welcome
from swath_training.runs.model import RunState, Trainer
from swath_training.worker import attempt

from .conftest import STATISTICAL, World

OLD = "0004"
RESPONSES = [
    pb.TrainResponse(message="Fitting rx (1/2)", losses={"total": 0.5}, status=pb.TRAIN_STATUS_RUNNING),
    pb.TrainResponse(message="Statistical training complete", status=pb.TRAIN_STATUS_COMPLETE),
]

_RUN = """
INSERT INTO runs (id, session_id, owner, state, trainer, arguments_digest, spec_digest, pipeline_digest, device,
    attempt, token_digest, worker_started, item_seq, position, last_seq, delivered_seq, end_delivered, progressed,
    fruitless, code, reason, message, details, final, created_at, holder)
VALUES ('run', 'session', '', 'ending', 1, 'a', 's', 'p', 'cpu', 1, 't', '', 2, 1, 1, 0, false, true, 2, '', '', '',
    '{}', :final, 0, 'alone')
"""
_EVENT = "INSERT INTO events (run_id, seq, attempt, position, payload, created_at) VALUES ('run', 1, 1, 1, :payload, 0)"


@pytest.fixture
async def store(database: Path | str, tmp_path: Path) -> AsyncIterator[RunStore]:
    """A store on tables of the release before, brought forward, with a run that was about to end."""
    folder = tmp_path / "old"
    shutil.copytree(SCHEMA.folder, folder)
    for revision in (folder / "versions").glob("0*.py"):
        if revision.name[: len(OLD)] > OLD:
            revision.unlink()
    engine = open_engine(database, schema=SCHEMA.name)
    await dataclasses.replace(SCHEMA, revision=OLD, folder=folder).migrate(engine)

    def write(connection: Connection) -> None:
        connection.execute(text(_RUN), {"final": RESPONSES[1].SerializeToString()})
        connection.execute(text(_EVENT), {"payload": RESPONSES[0].SerializeToString()})

    await in_database(engine, write, write=True)
    await SCHEMA.migrate(engine)
    store = RunStore(engine)
    await store.prepare()
    yield store
    await store.close()


async def test_what_the_release_before_has_written_is_read(store: RunStore) -> None:
    run = await store.get("run")
    assert (run.state, run.attempts_without_progress, run.metric_rows) == (RunState.ENDING, 2, 0)
    assert [response_of(event) for event in await store.events("run", 0)] == RESPONSES[:1]
    assert run.final is None

    final = RunEventCodec().complete(Event(0, b"", run.final_response or b""))
    await store.end("run", RunState.COMPLETE, final)

    assert [response_of(event) for event in await store.events("run", 0)] == RESPONSES
    assert await store.metrics.after("run", 0) == []


async def test_the_release_before_reads_what_this_one_writes(world: World) -> None:
    session = await world.configured()
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    stream = await world.ended(following.run_id)

    query = text("SELECT payload FROM events WHERE run_id = :run ORDER BY seq")

    def read(connection: Connection) -> list[pb.TrainResponse]:
        found = connection.execute(query, {"run": following.run_id}).scalars()
        return [pb.TrainResponse.FromString(bytes(payload)) for payload in found]

    assert await in_database(world.training._store._engine, read) == stream


async def test_events_of_a_worker_of_the_release_before_are_kept_as_they_are(store: RunStore) -> None:
    message = worker_pb2.Item(seq=1, event=worker_pb2.Event(position=1, response=RESPONSES[0].SerializeToString()))
    event = item_of(message).body
    assert isinstance(event, Event)

    written = await store.append_note("run", RunEventCodec().complete(event))

    assert [response_of(each) for each in written.events] == RESPONSES[:1]


def test_a_worker_leaves_a_service_that_does_not_know_its_events(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    welcome = Welcome(Trainer.GRADIENT, b"", "", None, None, "cpu", 0, None)
    message = welcome_message(welcome, 1.0, 1.0).welcome
    assert welcome_of(message).run_events
    message.ClearField("run_events")  # as the release before sends it
    left: list[str] = []

    def link(*arguments: Any) -> Any:
        return SimpleNamespace(
            connect=lambda: welcome_of(message), leave=lambda: left.append("left"), log=logging.NullHandler()
        )

    for name in ("configure_logs", "faulthandler.enable", "logging.captureWarnings"):
        monkeypatch.setattr(f"{attempt.__name__}.{name}", lambda *arguments: None)
    monkeypatch.setattr(attempt, "WorkerLink", link)
    code = attempt.main(local("unix:nowhere"), "run", 1, "token", Telemetry(), sys.stderr)

    logging.getLogger().handlers.pop()
    assert (code, left) == (exit_codes.REFUSED, ["left"])
    assert "older release" in capfd.readouterr().err
