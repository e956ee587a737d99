"""Commands to a run that is under way, and replays of its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from swath.documents import CommandKind, CommandState
from swath.engine.training import (
    Command,
    Event,
    Journal,
    Outcome,
    RunSpec,
    Status,
    StopFlag,
    run,
)
from swath.engine.training.snapshots import content_of

from .conftest import Frames, SnapshotList, fit, make_pipeline, same_state

Script = Sequence[tuple[int, CommandKind, dict[str, Any]]]
"""Commands, each with the number of events after which somebody asks for it."""

K = CommandKind
SCRIPT: Script = (
    (4, K.CHANGE, {"learning_rate": 0.05}),
    (9, K.PAUSE, {}),
    (9, K.EVALUATE, {"split": "val"}),
    (9, K.SAVE_CHECKPOINT, {}),
    (9, K.CHANGE, {"weight_decay": 0.01, "batch_size": 3, "evaluation_frequency": 2}),
    (9, K.RESUME, {}),
    (30, K.RESTORE, {"digest": "0", "weights_only": True}),
)


class Live(Journal):
    """Somebody who asks for what a script says, and keeps checkpoints in a list."""

    def __init__(self, events: list[Event], script: Script = (), former: Sequence[Command] = (), logged: int = 0):
        super().__init__(former, logged)
        self.kept: list[tuple[bytes, int]] = []
        self._events = events
        self._script = list(script)
        self._asked = self._asked
        self._number = len(former)

    def take(self, events: int, kind: CommandKind | None = None) -> Command | None:
        while self._script and len(self._events) >= self._script[0][0]:
            _, asked, arguments = self._script.pop(0)
            self._number += 1
            self.add(Command(self._number, asked, arguments, by="someone"))
        return super().take(events, kind)

    def keep(self, snapshot: bytes, events: int, *, epoch: int, step: int) -> str:
        self.kept.append((snapshot, step))
        return str(len(self.kept) - 1)

    def load(self, digest: str) -> bytes:
        return self.kept[int(digest)][0]


@pytest.fixture
def spec(gradient_spec: Callable[..., RunSpec]) -> RunSpec:
    settings = {"scheduler": {"name": "cosine", "warmup_epochs": 1}, "max_epochs": 4}
    return replace(gradient_spec({}, **settings), snapshot_every_s=0.0)


def start(
    spec: RunSpec, frames: Frames, script: Script = (), former: Sequence[Command] = (), logged: int = 0, **more: Any
) -> tuple[Outcome, list[Event], Live]:
    pipeline = make_pipeline()
    fit(pipeline, frames)
    events: list[Event] = []
    live = Live(events, script, former, logged)
    live.kept = more.pop("kept", live.kept)
    return run(spec, frames, pipeline, events.append, commands=live, **more), events, live


def journal(events: Sequence[Event]) -> list[Command]:
    """The commands that a log tells of, each with the place of its first report."""
    found: dict[int, Command] = {}
    for event in events:
        if event.command is not None and event.command.command.number:
            command = event.command.command
            found.setdefault(command.number, replace(command, place=event.ordinal))
    return list(found.values())


def reports(events: Sequence[Event], kind: CommandKind) -> list[Event]:
    return [event for event in events if event.command is not None and event.command.command.kind is kind]


def test_a_replay_of_the_log_gives_the_same_bits(spec: RunSpec, frames: Frames) -> None:
    plain, _, _ = start(spec, frames)
    outcome, events, _ = start(spec, frames, SCRIPT)

    replayed, again, _ = start(spec, frames, former=journal(events))

    assert outcome.status is Status.COMPLETE
    assert not same_state(outcome.state, plain.state)
    assert same_state(replayed.state, outcome.state)
    assert [repr(event) for event in again] == [
        repr(replace(event, command=event.command and replace(event.command, command=_placed(event, events))))
        for event in events
    ]


def _placed(event: Event, events: Sequence[Event]) -> Command:
    assert event.command is not None
    return next(command for command in journal(events) if command.number == event.command.command.number)


def test_from_every_snapshot_of_a_killed_run_commands_take_effect_again(spec: RunSpec, frames: Frames) -> None:
    snapshots = SnapshotList()
    outcome, events, live = start(spec, frames, SCRIPT, checkpointer=snapshots)
    assert len(snapshots.kept) > 10

    for snapshot, seen in snapshots.kept[::3]:
        resumed, rest, _ = start(
            spec, frames, former=journal(events), logged=len(events), snapshot=snapshot, kept=list(live.kept)
        )
        assert same_state(resumed.state, outcome.state), seen
        assert [event.message for event in rest] == [event.message for event in events[seen:]]


def test_a_command_takes_effect_after_what_the_log_holds(spec: RunSpec, frames: Frames) -> None:
    change = Command(1, K.CHANGE, {"learning_rate": 0.05})

    _, events, _ = start(spec, frames, former=[change], logged=20)

    (report,) = reports(events, K.CHANGE)
    assert report.ordinal >= 20


def test_an_evaluation_leaves_the_training_as_it_was(spec: RunSpec, frames: Frames) -> None:
    plain, _, _ = start(spec, frames)

    outcome, events, _ = start(spec, frames, [(5, K.EVALUATE, {"split": "train", "max_batches": 2})])

    told = [event.command for event in reports(events, K.EVALUATE) if event.command]
    assert [report.state for report in (told[0], told[-1])] == [CommandState.TAKEN, CommandState.DONE]
    assert (told[-1].done, told[-1].total) == (2, 2)
    assert told[-1].metrics["train_loss"] > 0
    assert same_state(outcome.state, plain.state)


def test_an_evaluation_is_given_up(spec: RunSpec, frames: Frames) -> None:
    script = [(5, K.EVALUATE, {"split": "val"}), (6, K.CANCEL_EVALUATION, {})]

    outcome, events, _ = start(spec, frames, script)

    last = reports(events, K.EVALUATE)[-1].command
    assert last is not None
    assert last.cancelled
    assert same_state(start(spec, frames, former=journal(events))[0].state, outcome.state)


def test_a_stop_during_a_pause_and_a_start_after_it(spec: RunSpec, frames: Frames) -> None:
    events: list[Event] = []
    flag = StopFlag()

    class Stopping(Live):
        def wait(self) -> None:
            flag.stop()

    pipeline = make_pipeline()
    fit(pipeline, frames)
    stopped = run(spec, frames, pipeline, events.append, flag, commands=Stopping(events, [(6, K.PAUSE, {})]))
    assert stopped.status is Status.CANCELLED

    resumed, rest, _ = start(spec, frames, [(0, K.RESUME, {})], former=journal(events), snapshot=stopped.snapshot)

    assert reports(rest, K.RESUME)[0].ordinal == reports(events, K.PAUSE)[0].ordinal + 1
    assert same_state(resumed.state, start(spec, frames)[0].state)


def test_a_resume_for_some_steps_pauses_again(spec: RunSpec, frames: Frames) -> None:
    class Patient(Live):
        def wait(self) -> None:
            self._script.append((0, K.RESUME, {}))

    events: list[Event] = []
    pipeline = make_pipeline()
    fit(pipeline, frames)
    script = [(4, K.PAUSE, {}), (4, K.RESUME, {"steps": 2})]
    run(spec, frames, pipeline, events.append, commands=Patient(events, script))

    first, second = (event.context.global_step for event in reports(events, K.PAUSE))
    assert second - first == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"learning_rate": 2.0}, "'learning_rate' must be a number above 0 and at most 1, got 2"),
        ({"batch_size": 1.5}, "'batch_size' must be a whole number of at least 1 and at most 65536, got 1.5"),
        ({"batch_sise": 2}, "did you mean 'batch_size'?"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    spec: RunSpec, frames: Frames, arguments: dict[str, float], text: str
) -> None:
    outcome, events, _ = start(spec, frames, [(4, K.CHANGE, {"weight_decay": 0.5, **arguments})])

    (report,) = reports(events, K.CHANGE)
    assert report.command is not None
    assert report.command.state is CommandState.REFUSED
    assert text in report.message
    assert same_state(outcome.state, start(spec, frames)[0].state)


def test_a_whole_restore_brings_the_optimizer_back(spec: RunSpec, frames: Frames) -> None:
    script = [
        (5, K.SAVE_CHECKPOINT, {}),
        (7, K.CHANGE, {"learning_rate": 0.5}),
        (20, K.RESTORE, {"digest": "0", "weights_only": False}),
        (20, K.SAVE_CHECKPOINT, {}),
    ]
    _, events, live = start(spec, frames, script)

    first, second = (content_of(data) for data, _ in live.kept)
    (report,) = reports(events, K.RESTORE)
    assert report.command is not None
    assert report.command.values["learning_rate"] == spec.training.optimizer.lr  # type: ignore[union-attr]
    assert same_state(first["state"], second["state"])
    rates = [content["optimizer"]["param_groups"][0]["lr"] for content in (first, second)]
    assert rates[0] == rates[1]
    assert torch.equal(*(content["optimizer"]["state"][0]["exp_avg"] for content in (first, second)))
