"""The experiment service over runs and samples that tests hold in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from swath.errors import InvalidInput
from swath.rpc.caller import Caller, acting_as
from swath.samples.histograms import Bar, Bin, Share
from swath.storage.sql.engine import open_engine
from swath_experiment.runs.model import (
    Checkpoint,
    Command,
    Curve,
    CurveSummary,
    Hyperparameter,
    Run,
    RunFile,
)
from swath_experiment.runs.samples import Histogram, Picture
from swath_experiment.service.services import Services
from swath_experiment.servicer import ExperimentServicer
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore
from swath_experiment.tables import SCHEMA

HASH = "aaaaaaaabbbbbbbbcccccccc"


class FakeRuns:
    """Runs of users, by whoever calls."""

    def __init__(self) -> None:
        self.runs = {"": [Run(id="run-1", experiment="moss", hash=HASH, step=40, created_at=1.0, used_at=2.0)]}
        self.asked: list[tuple[str, Any]] = []
        self.kept: list[Command] = []
        self.steps = 40

    def _mine(self) -> list[Run]:
        from swath.rpc.caller import caller

        who = caller()
        return self.runs.get("" if who is None else who.name, [])

    def _note(self, kind: str, value: Any = None, **more: Any) -> Command:
        self.asked.append((kind, value))
        command = Command(number=len(self.kept) + 1, kind=kind, state="asked", **more)
        self.kept.append(command)
        return command

    def finish(self, **more: Any) -> None:
        """Have the last command take effect."""
        self.kept[-1] = dataclasses.replace(self.kept[-1], state="done", step=self.steps, **more)

    async def list(self, experiment: str = "") -> Sequence[Run]:
        return [each for each in self._mine() if not experiment or each.experiment == experiment]

    async def describe(self, run: str) -> tuple[Sequence[Hyperparameter], Sequence[str]]:
        return [
            Hyperparameter(name="learning_rate", value=0.05, minimum=0, exclusive_minimum=True, maximum=1),
            Hyperparameter(name="batch_size", value=2, minimum=1, maximum=64, integer=True),
        ], ("train", "val")

    async def pause(self, run: str) -> Command:
        return self._note("pause")

    async def resume(self, run: str, steps: int) -> Command:
        return self._note("resume", steps)

    async def change(self, run: str, values: Mapping[str, float]) -> Command:
        return self._note("change", dict(values))

    async def evaluate(self, run: str, split: str, samples: Sequence[str], batches: int) -> Command:
        return self._note("evaluate", (split, list(samples)), arguments={"split": split})

    async def cancel_evaluation(self, run: str, reason: str) -> Command:
        self.asked.append(("cancel", reason))
        self.finish(cancelled=True, message=reason)
        return self.kept[-1]

    async def save(self, run: str) -> Command:
        return self._note("save_checkpoint")

    async def restore(self, run: str, checkpoint: str) -> Command:
        return self._note("restore", checkpoint)

    async def discard(self, run: str, samples: Sequence[str]) -> Command:
        return self._note("set_samples", list(samples))

    async def commands(self, run: str) -> Sequence[Command]:
        return self.kept

    async def checkpoints(self, run: str) -> Sequence[Checkpoint]:
        return [Checkpoint(HASH, 10), Checkpoint(HASH, 30)]

    async def curves(self, run: str) -> Sequence[CurveSummary]:
        last = self.steps
        return [
            CurveSummary(
                name="bce", split="val", first_step=1, last_step=last, count=last, minimum=1.0, maximum=float(last)
            )
        ]

    async def curve(
        self, run: str, name: str, split: str, *, points: int, steps: tuple[int, int] | None, after: int
    ) -> Curve:
        low, high = steps or (1, self.steps)
        shown = [step for step in range(1, self.steps + 1) if step > after and low <= step <= high]
        return Curve(shown, [float(step) for step in shown], self.steps)

    async def files(self, run: str, after: int) -> Sequence[RunFile]:
        return []


class FakeTable:
    """Four samples; its queries are `<column> == <value>` and `sortby <column>`."""

    def __init__(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        self._rows: dict[str, dict[str, Any]] = {
            f"s{number}": {"sample_id": f"s{number}", "origin": "train" if number < 3 else "val", "loss": 1.0 / number}
            for number in range(1, 5)
        }
        for column, given in values.items():
            for sample, value in given.items():
                self._rows[sample][column] = value
        self._made = list(values)

    @property
    def columns(self) -> Sequence[str]:
        return ["sample_id", "origin", "loss", *self._made]

    def ids(self) -> Sequence[str]:
        return list(self._rows)

    def select(self, ids: Sequence[str], query: str) -> Sequence[str]:
        if query.startswith("sortby "):
            return sorted(ids, key=lambda each: self._rows[each][query.removeprefix("sortby ")])
        column, mark, value = query.partition(" == ")
        if not mark or column not in self.columns:
            raise InvalidInput(f"query: expected a comparison at character 1, got {query!r}")
        return [each for each in ids if str(self._rows[each].get(column)) == value]

    def rows(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        return [self._rows[each] for each in ids]

    def histogram(self, ids: Sequence[str], column: str, most: int) -> Histogram:
        values = [self._rows[each][column] for each in ids]
        if isinstance(values[0], str):
            return Histogram(
                bars=[
                    Bar(each, values.count(each), (Share(each, discarded=False, count=values.count(each)),))
                    for each in sorted(set(values))
                ]
            )
        share = Share("train", discarded=False, count=len(ids))
        return Histogram(bins=[Bin(min(values), max(values), sum(values) / len(values), len(ids), (share,))])

    def trajectory(self, signal: str, ids: Sequence[str], points: int) -> Mapping[str, Sequence[float]]:
        return {each: [1.0, 0.5] for each in ids}

    def at_step(self, signal: str, step: int) -> Mapping[str, float]:
        return {"s1": 0.5}

    async def picture(self, sample: str, kind: str, width: int, height: int) -> Picture | None:
        return Picture(webp=b"RIFF", shape=(height, width, 3)) if kind == "cube" else None


class FakeFiles:
    """Files of samples that are always there."""

    async def table(
        self, runs: Sequence[Run], values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]
    ) -> FakeTable:
        return FakeTable(values)


@pytest.fixture
def runs() -> FakeRuns:
    """Runs, of which the test says what they do."""
    return FakeRuns()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ExperimentStore]:
    """An empty store."""
    store = ExperimentStore(open_engine(tmp_path / "experiment.db", schema=SCHEMA.name))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def servicer(runs: FakeRuns, store: ExperimentStore) -> ExperimentServicer:
    """The servicer, as a server calls it."""
    return ExperimentServicer(Services(runs, FakeFiles(), store, ExperimentSettings(experiment_tags=3)))


class Context:
    """A call with metadata."""

    def __init__(self, **metadata: str) -> None:
        self._metadata = [(key.replace("_", "-"), value) for key, value in metadata.items()]

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return self._metadata


@pytest.fixture
def as_user():
    """Make calls as somebody."""

    def acting(name: str) -> Any:
        return acting_as(Caller(name, "token"))

    return acting


HERE = Context()
