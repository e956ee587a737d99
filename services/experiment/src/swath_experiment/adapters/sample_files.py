"""What runs have written of their samples, from the artifact store: read once, laid under what people say of them."""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import polars as pl
import structlog

from swath.errors import Denied, InvalidInput, NotFound, Precondition
from swath.samples import Edits, SampleTable, Tag, manifest, parse, signals
from swath.samples.edits import signal_name, tag_name
from swath.samples.histograms import bars, bins, is_number
from swath.samples.table import DISCARDED, INDEX
from swath.storage import ArtifactStore, Workspace
from swath_experiment.adapters.pictures import KINDS, Pictures
from swath_experiment.runs.model import Run, Runs
from swath_experiment.runs.samples import Histogram, Picture

_log = structlog.get_logger("swath.experiment")

_MOST_EXPERIMENTS = 16
"""Experiments whose samples are held in memory."""


class Ids(Sequence[str]):
    """Samples in an order: their places in the table, as ids only where somebody looks at them."""

    def __init__(self, ids: pl.Series, places: np.ndarray) -> None:
        self._ids = ids
        self.places = places

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Ids: ...
    def __getitem__(self, index: int | slice) -> str | Ids:
        if isinstance(index, slice):
            return Ids(self._ids, self.places[index])
        return self._ids[int(self.places[index])]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids.gather(self.places))


class StoredTable:
    """Samples of an experiment. Fulfils `swath_experiment.runs.samples.SampleTable`.

    Args:
        table: All of them; nobody changes it any more.
        segments: Their signals.
        pictures: Draws them.
    """

    def __init__(self, table: SampleTable, segments: Sequence[pl.DataFrame], pictures: Pictures) -> None:
        self._table, self._segments, self._pictures = table, segments, pictures

    @property
    def columns(self) -> Sequence[str]:
        first = ("sample_id", "origin")
        return [*first, *(name for name in self._table.columns if name not in (*first, INDEX))]

    def ids(self) -> Sequence[str]:
        return Ids(self._table.frame["sample_id"], self._table.view())

    def select(self, ids: Sequence[str], query: str) -> Sequence[str]:
        return Ids(self._table.frame["sample_id"], self._table.view(parse(query), self._places(ids)))

    def rows(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        return self._table.rows(self._places(ids)).drop(INDEX).to_dicts()

    def histogram(self, ids: Sequence[str], column: str, most: int) -> Histogram:
        rows = self._table.rows(self._places(ids))
        if is_number(rows.schema[column]):
            return Histogram(bins=bins(rows, column, most))
        return Histogram(bars=bars(rows, column))

    def trajectory(self, signal: str, ids: Sequence[str], points: int) -> Mapping[str, Sequence[float]]:
        found = signals.trajectories(self._segments, signal_name(signal), ids, points)
        return {sample: values.tolist() for sample, (_, values) in found.items()}

    def at_step(self, signal: str, step: int) -> Mapping[str, float]:
        return dict(signals.at_step(self._segments, signal_name(signal), step).rows())

    async def picture(self, sample: str, kind: str, width: int, height: int) -> Picture | None:
        place = self._table.row(sample)
        if place is None or kind not in KINDS:
            return None
        row = self._table.frame.row(place, named=True)
        try:
            return await asyncio.to_thread(self._pictures.draw, row, kind, width, height)
        except (NotFound, InvalidInput, Denied, Precondition) as error:
            # Of a scene that was moved, say. What else is known of the sample is still to be seen.
            _log.info("a sample has no picture", sample=sample, source=row["source"], error=error.message)
            return None

    def _places(self, ids: Sequence[str]) -> np.ndarray:
        if isinstance(ids, Ids):
            return ids.places
        found = (self._table.row(each) for each in ids)
        return np.fromiter((row for row in found if row is not None), np.int64)


class _Experiment:
    """The files of an experiment that were read, as one table."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.read: dict[str, int] = {}
        self.table: SampleTable | None = None
        self.segments: list[pl.DataFrame] = []
        self.edits: tuple[Mapping[str, Mapping[str, Any]], Sequence[str]] | None = None


class StoredSampleFiles:
    """Reads files of runs. Fulfils `swath_experiment.runs.samples.SampleFiles`.

    Args:
        runs: Says which files there are.
        artifacts: Has them.
        workspace: Has the scenes.
        folder: Where pictures are kept.
    """

    def __init__(self, runs: Runs, artifacts: ArtifactStore, workspace: Workspace, folder: Path) -> None:
        self._runs, self._artifacts = runs, artifacts
        self._pictures = Pictures(workspace, folder)
        self._experiments: OrderedDict[str, _Experiment] = OrderedDict()

    async def table(
        self, runs: Sequence[Run], values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]
    ) -> StoredTable | None:
        if not runs:
            return None
        # By its first run: experiments of two people may have one name, and runs belong to one of them.
        held = self._experiments.setdefault(runs[-1].id, _Experiment())
        self._experiments.move_to_end(runs[-1].id)
        while len(self._experiments) > _MOST_EXPERIMENTS:
            self._experiments.popitem(last=False)
        async with held.turn:
            for run in reversed(runs):
                await self._read(held, run)
            if held.table is None:
                return None
            if held.edits != (values, tags):
                await asyncio.to_thread(held.table.apply, _edits(values, tags))
                held.edits = (values, tags)
            return StoredTable(copy.copy(held.table), tuple(held.segments), self._pictures)

    async def _read(self, held: _Experiment, run: Run) -> None:
        for file in await self._runs.files(run.id, held.read.get(run.id, 0)):
            if file.kind == "samples":
                listed = manifest.read(await self._artifacts.get(file.digest))
                if held.table is None:
                    held.table = await asyncio.to_thread(SampleTable, listed)
                else:
                    await asyncio.to_thread(held.table.extend, listed)
                held.edits = None
            elif file.kind == "signals" and held.table is not None:
                segment = signals.read(await self._artifacts.get(file.digest))
                await asyncio.to_thread(held.table.add_segment, segment)
                held.segments.append(segment)
            held.read[run.id] = file.number


def _edits(values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]) -> Edits:
    edits = Edits({name: Tag(name) for name in tags})
    for column, by_sample in values.items():
        if column == DISCARDED:
            edits.discarded = {sample for sample, value in by_sample.items() if value}
        elif (name := tag_name(column)) is not None:
            labels = tuple(dict.fromkeys(value for value in by_sample.values() if isinstance(value, str)))
            edits.tags[name] = Tag(name, labels, dict(by_sample))
        else:
            edits.columns[column] = by_sample
    return edits
