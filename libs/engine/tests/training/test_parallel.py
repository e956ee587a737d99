"""Two processes train as one would with batches of twice the size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import Event, Group, Outcome, PeerLost, Rank, Rendezvous, Status, listen
from swath.errors import InvalidInput

from .conftest import Frames, SnapshotList, make_pipeline, same_state, short
from .second_process import SPLITS, spec_of, train

REPOSITORY = Path(__file__).resolve().parents[4]
ALIKE = {
    "freeze_nodes": ["noise", "center"],
    "loss_nodes": ["svdd_loss", "bce"],
    "unfreeze_nodes": ["zscore", "logit"],
}
"""A run whose forward draws no random numbers, and in which no frame depends on the others of its batch."""

Together = Callable[..., tuple[Outcome, list[Event]]]


@pytest.fixture
def together(second_process: subprocess.Popen[str], tmp_path: Path) -> Together:
    """Runs a case with a second process and returns the outcome of the first one."""

    def both(*, run: dict[str, Any], snapshots: SnapshotList | None = None, **case: Any) -> tuple[Outcome, list[Event]]:
        case = {"folder": str(tmp_path), "run": {"data": {"data_module": "frames", "batch_size": 1}, **run}, **case}
        door = listen()
        port = door.getsockname()[1]
        assert second_process.stdin is not None
        second_process.stdin.write(json.dumps({**case, "port": port}) + "\n")
        second_process.stdin.flush()
        group = Rendezvous(Rank(0, 2, 0, 2, "127.0.0.1", port, door.detach())).meet(lambda: False)
        assert group is not None
        return train(case, group, Frames(SPLITS), snapshots)

    return both


@pytest.fixture(scope="module")
def second_processes() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts second processes; one that ended is replaced."""
    started: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        if not started or started[-1].poll() is not None:
            command = [sys.executable, "-m", "libs.engine.tests.training.second_process"]
            started.append(
                subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
        return started[-1]

    yield one
    for process in started:
        process.communicate()


@pytest.fixture
def second_process(second_processes: Callable[[], subprocess.Popen[str]]) -> subprocess.Popen[str]:
    return second_processes()


def alone(folder: Path, run: dict[str, Any], **training: Any) -> tuple[Outcome, list[Event]]:
    run = {**run, "data": {"data_module": "frames", "batch_size": 2}}
    return train({"folder": str(folder), "run": run, "training": {"devices": 1, **training}}, Group(), Frames(SPLITS))


def of_the_fit(events: list[Event]) -> list[Event]:
    """The events up to the fit's end: what follows is one process's work."""
    return events[: next(index for index, event in enumerate(events) if short(event) == "fit_end") + 1]


@pytest.mark.parametrize(
    "training",
    [
        {"gradient_clip_val": 0.5, "num_sanity_val_steps": 1},
        {"accumulate_grad_batches": 3, "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}},
    ],
    ids=["clipped", "accumulated"],
)
def test_weights_and_values_are_those_of_one_process(
    together: Together, tmp_path: Path, training: dict[str, Any]
) -> None:
    expected, told = alone(tmp_path / "alone", ALIKE, **training)

    outcome, events = together(run=ALIKE, training=training)

    assert not same_state(outcome.state, make_pipeline().state())
    assert_close(outcome, expected)
    events, told = of_the_fit(events), of_the_fit(told)
    assert [(short(event), event.context) for event in events] == [(short(event), event.context) for event in told]
    for mine, one in zip(events, told, strict=True):
        assert mine.losses == pytest.approx(dict(one.losses), rel=1e-4)
        assert mine.metrics == pytest.approx(dict(one.metrics), rel=1e-4)


def assert_close(outcome: Outcome, expected: Outcome) -> None:
    for name, entry in expected.state.items():
        for key, value in entry.items():
            torch.testing.assert_close(outcome.state[name][key], value, rtol=1e-5, atol=1e-6)


def test_moving_statistics_are_those_of_whole_batches(together: Together, tmp_path: Path) -> None:
    run = {"freeze_nodes": ["noise"], "loss_nodes": ["svdd_loss"]}
    still = {"optimizer": {"name": "sgd", "lr": 1e-12}}
    expected, _ = alone(tmp_path / "alone", run, **still)

    outcome, _ = together(run=run, training=still)

    assert not outcome.state["center"]["_tracked_center"].equal(make_pipeline().state()["center"]["_tracked_center"])
    assert_close(outcome, expected)


def test_metrics_are_those_of_all_pixels_together(together: Together, tmp_path: Path) -> None:
    still = {"optimizer": {"name": "sgd", "lr": 1e-12}}
    _, told = alone(tmp_path / "alone", ALIKE, **still)

    _, events = together(run=ALIKE, training=still)

    (one, mine) = ([event for event in all if short(event) == "validation_end:val"] for all in (told, events))
    assert len(mine) == len(one) == 2
    assert 0 < mine[0].metrics["metrics/average_precision"] < 1
    for measured, expected in zip(mine, one, strict=True):
        metrics = {name: value for name, value in expected.metrics.items() if name.startswith("metrics/")}
        assert {name: measured.metrics[name] for name in metrics} == pytest.approx(metrics, rel=1e-9)


def test_from_snapshots_of_a_run_whose_processes_were_killed(together: Together, tmp_path: Path) -> None:
    # With random numbers of each process's own, and gradients that are not applied yet.
    case: dict[str, Any] = {"run": {}, "training": {"accumulate_grad_batches": 3}}
    snapshots = SnapshotList()
    expected, all_events = together(**case, snapshots=snapshots)

    for number in range(1, len(snapshots.kept), len(snapshots.kept) // 3):
        snapshot, seen = snapshots.kept[number]
        (tmp_path / "snapshot").write_bytes(snapshot)
        outcome, events = together(**case, snapshot=str(tmp_path / "snapshot"))
        assert same_state(outcome.state, expected.state), number
        assert events == all_events[seen:]


def test_all_stop_at_one_point(together: Together, tmp_path: Path) -> None:
    expected, all_events = together(run={})
    # In the first epoch's validation.
    stopped, events = together(run={}, stop_after=10)
    assert stopped.status is Status.CANCELLED
    assert stopped.snapshot is not None

    (tmp_path / "snapshot").write_bytes(stopped.snapshot)
    outcome, rest = together(run={}, snapshot=str(tmp_path / "snapshot"))

    assert same_state(outcome.state, expected.state)
    assert [*events[:-1], *rest] == all_events


def test_the_end_of_one_is_the_end_of_all(together: Together, second_process: subprocess.Popen[str]) -> None:
    with pytest.raises(PeerLost, match="process 0 has lost another process"):
        together(run={}, dies_in=1)
    assert second_process.wait() == 3


def test_a_run_has_the_processes_that_it_asks_for(tmp_path: Path, frames: Frames, fitted: Pipeline) -> None:
    with pytest.raises(InvalidInput, match="devices '2' asks for 2 processes, and the run has 1"):
        spec_of({"folder": str(tmp_path)}).check(fitted, frames)
