"""Evaluations: of a split or of samples of it, while the run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swath.errors import InvalidInput, NotFound, Precondition, SwathError
from swath_experiment.runs.model import Command, Runs
from swath_experiment.service.scope import Experiment, near
from swath_experiment.store import Entry, ExperimentStore

LOADER = "_loader"
"""Ends the names of splits that the page's own backend has."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far an evaluation is.

    Attributes:
        status: As the page knows it: idle, requested, running, done, canceled or error.
        done: Batches that are measured.
        total: Batches.
    """

    status: str
    done: int = 0
    total: int = 0
    message: str = ""
    error: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """What an evaluation has measured."""

    number: int
    step: int
    split: str
    metrics: dict[str, float]
    changed_at: float


class Evaluation:
    """Evaluations of the current run.

    Args:
        runs: The training service.
        store: Keeps the audit.
    """

    def __init__(self, runs: Runs, store: ExperimentStore) -> None:
        self._runs, self._store = runs, store

    async def trigger(self, experiment: Experiment, split: str, samples: Sequence[str], tags: Sequence[str]) -> str:
        """Evaluate a split now, or some samples of it; return what to tell people.

        Raises:
            InvalidInput: No split is named.
            NotFound: The run has no such split; the text names the nearest.
            Precondition: An evaluation is under way, or the run is over.
        """
        details = {"split_name": split, "tags": list(tags)}
        try:
            if not split:
                raise InvalidInput("split_name: expected the name of a split, got nothing")
            run = experiment.current
            splits = (await self._runs.describe(run.id))[1]
            named = split.removesuffix(LOADER)
            if named not in splits:
                raise NotFound(f"split_name: run {run.id} has no split {split[:64]!r}{near(split, splits)}")
            if await self.under_way(experiment):
                raise Precondition("Evaluation already in progress")
            if tags and not samples:
                raise NotFound(f"no sample of {split} has the tags {', '.join(tags)}")
            await self._runs.evaluate(run.id, named, samples, 0)
        except SwathError as error:
            await self._store.record(experiment.place, Entry("evaluation_start", details, error.message))
            raise
        await self._store.record(experiment.place, Entry("evaluation_start", details))
        return f"Evaluation of {split} requested"

    async def status(self, experiment: Experiment) -> Status:
        """Return how far the last evaluation is."""
        if not experiment.runs:
            return Status("idle")
        last = await self._last(experiment)
        if last is None:
            return Status("idle")
        split = str(last.arguments.get("split", ""))
        if last.state == "refused":
            return Status("error", last.done, last.total, "", last.message, split)
        if last.cancelled:
            return Status("canceled", last.done, last.total, last.message, last.message, split)
        state = {"asked": "requested", "taken": "running", "done": "done"}[last.state]
        return Status(state, last.done, last.total, last.message, "", split)

    async def cancel(self, experiment: Experiment, reason: str) -> str:
        """Give up the evaluation that is under way; return what to tell people.

        Raises:
            Precondition: None is.
        """
        if not experiment.runs or not await self.under_way(experiment):
            raise Precondition("No active evaluation to cancel")
        await self._runs.cancel_evaluation(experiment.current.id, reason)
        return "Evaluation canceled"

    async def under_way(self, experiment: Experiment) -> bool:
        """Whether the current run's last evaluation is still to come or to end."""
        return (await self.status(experiment)).status in ("requested", "running")

    async def markers(self, run: str) -> list[Marker]:
        """Return what the evaluations of a run have measured, in their order."""
        done = [each for each in await self._evaluations(run) if each.state == "done" and not each.cancelled]
        return [
            Marker(number, each.step, str(each.arguments.get("split", "")), dict(each.metrics), each.changed_at)
            for number, each in enumerate(done, 1)
        ]

    async def _last(self, experiment: Experiment) -> Command | None:
        found = await self._evaluations(experiment.current.id)
        return found[-1] if found else None

    async def _evaluations(self, run: str) -> list[Command]:
        return [each for each in await self._runs.commands(run) if each.kind == "evaluate"]
