"""What clients are sent, message for message, as it was recorded from real runs."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from pydantic import TypeAdapter

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.engine.training import Event
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.adapters.train_responses import response, response_of
from swath_training.api.requests import TrainRequest
from swath_training.link.run_events import run_event
from swath_training.runs.model import LoggedEvent

from .conftest import CALIBRATION, GRADIENT, STATISTICAL, World, config, epoch_ended

GOLDEN = Path(__file__).parent / "golden"
EVENTS: list[dict[str, Any]] = json.loads((GOLDEN / "events.json").read_text())
NOTES: list[dict[str, Any]] = json.loads((GOLDEN / "notes.json").read_text())
STREAMS: dict[str, list[dict[str, Any]]] = json.loads((GOLDEN / "streams.json").read_text())

TRAINING = {
    "max_epochs": 6,
    "accelerator": "cpu",
    "num_sanity_val_steps": 0,
    "optimizer": {"lr": 0.01},
    "callbacks": {
        "early_stopping": [{"monitor": "val_loss", "patience": 1, "min_delta": 1000.0}],
        "checkpoint": {"dirpath": "checkpoints", "monitor": "val_loss"},
        "learning_rate_monitor": {"logging_interval": "step"},
    },
}


@pytest.mark.parametrize("recorded", EVENTS, ids=range(len(EVENTS)))
def test_an_event_of_a_run_is_the_message_that_it_was(recorded: dict[str, Any]) -> None:
    event = TypeAdapter(Event).validate_python(recorded["event"])

    assert response(run_event(event)).SerializeToString(deterministic=True) == base64.b64decode(recorded["response"])


@pytest.mark.parametrize("recorded", NOTES, ids=range(len(NOTES)))
def test_a_note_of_the_service_is_the_message_that_it_was(recorded: dict[str, Any]) -> None:
    note = RunEventCodec().note(recorded["status"], recorded["message"])

    assert response_of(LoggedEvent(1, note.payload)).SerializeToString() == base64.b64decode(recorded["response"])
    assert note.response == base64.b64decode(recorded["response"])


@pytest.mark.parametrize("database", [Path()], ids=["sqlite"])
async def test_streams_are_what_they_were(world: World) -> None:
    seen: dict[str, list[pb.TrainResponse]] = {}
    session = await world.configured(training=TRAINING)
    seen["statistical"] = await world.train(session, STATISTICAL)
    seen["gradient"] = await world.train(session, GRADIENT)
    seen["calibration"] = await world.train(session, CALIBRATION)
    broken = await world.configured(data=config()["data"] | {"params": {"universe_csv": "frames/nowhere.csv"}})
    await world.ended((await world.service.train(TrainRequest(broken.id, STATISTICAL))).run_id)
    seen["failure_status"] = [await world.status(broken)]
    long = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(long.id, GRADIENT))
    await world.until(following, epoch_ended(2))
    queued = await world.service.train(TrainRequest((await world.configured()).id, STATISTICAL))
    seen["queued"] = await world.until(queued, lambda told: True)
    await world.service.stop(long.id)
    seen["cancelled"] = (await world.ended(following.run_id))[-1:]
    seen["not_starting"] = await world.train(long, CALIBRATION)
    await world.ended(queued.run_id)

    assert seen.keys() == STREAMS.keys()
    for name, recorded in STREAMS.items():
        assert [_told(message, world) for message in seen[name]] == [_expected(each) for each in recorded], name


def _told(message: pb.TrainResponse, world: World) -> Any:
    text = json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True))
    return _without_digits(json.loads(text.replace(str(world.workspace.root), "/workspace")))


def _without_digits(value: Any) -> Any:
    """Leave out of texts what processors of different kinds compute differently."""
    if isinstance(value, dict):
        return {key: _without_digits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_digits(each) for each in value]
    return re.sub(r"\d*\.\d+", "#", value) if isinstance(value, str) else value


def _expected(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _expected(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_expected(each) for each in value]
    return pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else _without_digits(value)
