"""Curves of an experiment's runs."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from swath.errors import Exhausted
from swath_experiment.runs.model import CurveSummary, Run, Runs
from swath_experiment.service.evaluation import Evaluation
from swath_experiment.service.scope import Experiment, Who
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore

MOST_POINTS = 1000
"""Points per curve where a reader gives no number."""
_READERS = 1000
"""Readers whose places are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a curve."""

    metric: str
    step: int
    value: float
    hash: str
    split: str = ""
    at: float = 0.0
    note: str = ""
    is_evaluation: bool = False
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A curve as a whole."""

    metric: str
    hash: str
    summary: CurveSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a reader asks for.

    Attributes:
        metrics: Only these; all if empty.
        hashes: Only of these runs; all if empty.
        steps: Only of these steps, both included.
        points: At most so many per curve, and few more.
    """

    metrics: Collection[str] = ()
    hashes: Collection[str] = ()
    steps: tuple[int, int] | None = None
    points: int = MOST_POINTS


@dataclass(slots=True)
class _Place:
    """What a reader has been given: the last event of each curve, and evaluations."""

    curves: dict[tuple[str, str, str], int] = field(default_factory=dict)
    evaluations: dict[str, int] = field(default_factory=dict)


class Metrics:
    """Curves of an experiment's runs.

    What readers have been given is remembered by this replica alone: at another one a reader gets what it asks for from
    the beginning, thinned out, and nothing is missed.

    Args:
        runs: The training service.
        store: Has the notes.
        evaluation: Has what evaluations have measured.
        settings: How many may read a whole history at a time.
    """

    def __init__(
        self, runs: Runs, store: ExperimentStore, evaluation: Evaluation, settings: ExperimentSettings
    ) -> None:
        self._runs, self._store, self._evaluation = runs, store, evaluation
        self._turns = asyncio.Semaphore(settings.experiment_histories)
        self._most, self._wait_s = settings.experiment_histories, settings.experiment_history_wait_s
        self._places: OrderedDict[tuple[str, str, str], _Place] = OrderedDict()

    async def index(self, experiment: Experiment, wanted: Wanted) -> list[Index]:
        """Say which curves there are."""
        found = []
        for hash_, run in experiment.by_hash().items():
            if wanted.hashes and hash_ not in wanted.hashes:
                continue
            for each in await self._runs.curves(run.id):
                name = metric_of(each)
                if not wanted.metrics or name in wanted.metrics:
                    found.append(Index(metric=name, hash=hash_, summary=each))
        return sorted(found, key=lambda each: (each.hash, each.metric))

    async def history(self, experiment: Experiment, who: Who, wanted: Wanted) -> tuple[list[Point], list[Index]]:
        """Return all there is, thinned out to so many points per curve, with the curves as wholes.

        Raises:
            Exhausted: Too many read at once.
        """
        async with self._turn():
            index = await self.index(experiment, wanted)
            place = self._place(experiment, who)
            by_hash = experiment.by_hash()
            points = []
            for each in index:
                points += await self._points(place, by_hash[each.hash], each, wanted, after=0)
            points += await self._markers(place, experiment, wanted, anew=True)
            return await self._noted(experiment, points), index

    async def latest(self, experiment: Experiment, who: Who, wanted: Wanted) -> list[Point]:
        """Return what has come since this reader last asked, whoever else reads."""
        place = self._place(experiment, who)
        by_hash = experiment.by_hash()
        points = []
        for each in await self.index(experiment, wanted):
            key = (by_hash[each.hash].id, each.summary.name, each.summary.split)
            points += await self._points(place, by_hash[each.hash], each, wanted, after=place.curves.get(key, 0))
        points += await self._markers(place, experiment, wanted, anew=False)
        return await self._noted(experiment, points)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise Exhausted(
                f"{self._most} histories are being read already: ask again in a moment", retry_after=1.0
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    def _place(self, experiment: Experiment, who: Who) -> _Place:
        key = (experiment.place.owner, experiment.place.experiment, who.reader)
        place = self._places.pop(key, None) or _Place()
        self._places[key] = place
        while len(self._places) > _READERS:
            self._places.popitem(last=False)
        return place

    async def _points(self, place: _Place, run: Run, index: Index, wanted: Wanted, *, after: int) -> list[Point]:
        summary = index.summary
        curve = await self._runs.curve(
            run.id, summary.name, summary.split, points=wanted.points, steps=wanted.steps, after=after
        )
        if wanted.steps is None:
            place.curves[run.id, summary.name, summary.split] = max(after, curve.last_seq)
        return [
            Point(metric=index.metric, step=step, value=value, hash=index.hash, split=summary.split)
            for step, value in zip(curve.steps, curve.values, strict=True)
            if not math.isnan(value)
        ]

    async def _markers(self, place: _Place, experiment: Experiment, wanted: Wanted, *, anew: bool) -> list[Point]:
        points = []
        for hash_, run in experiment.by_hash().items():
            if wanted.hashes and not any(each.split("_")[0] == hash_ for each in wanted.hashes):
                continue
            markers = await self._evaluation.markers(run.id)
            known = 0 if anew else place.evaluations.get(run.id, 0)
            place.evaluations[run.id] = len(markers)
            for marker in markers[known:]:
                points += [
                    Point(
                        metric=name,
                        step=marker.step,
                        value=value,
                        hash=f"{hash_}_{marker.number}",
                        split=marker.split,
                        at=marker.changed_at,
                        is_evaluation=True,
                    )
                    for name, value in marker.metrics.items()
                    if not wanted.metrics or name in wanted.metrics
                ]
        return points

    async def _noted(self, experiment: Experiment, points: list[Point]) -> list[Point]:
        notes = await self._store.point_notes(experiment.place)
        if notes:
            points = [replace(each, note=notes.get((each.hash, each.metric, each.step), each.note)) for each in points]
        return sorted(points, key=lambda each: (each.hash, each.step, each.metric))


def metric_of(summary: CurveSummary) -> str:
    """Return the name by which a curve is shown: one name may be measured on several splits."""
    split, name = summary.split, summary.name
    return name if not split or name.startswith((f"{split}/", f"{split}_")) else f"{split}/{name}"
