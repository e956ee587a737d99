"""Samples of an experiment, as one user sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swath.errors import InvalidInput, NotFound
from swath_experiment.runs.model import Runs
from swath_experiment.runs.samples import Histogram, SampleFiles, SampleTable
from swath_experiment.service.scope import Experiment, near
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import Entry, ExperimentStore

TAG = "tag:"
DISCARDED = "discarded"
_RESETS = ("@reset", "@clear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many samples there are, and their tags.

    Attributes:
        every: Samples of the experiment, seen or not.
        seen: Those of the user's view.
        discarded: Those that training leaves out, seen or not.
        tags: Names of tags.
        categories: Allowed values, of the tags that have them.
    """

    every: int
    seen: int
    discarded: int
    tags: Sequence[str]
    categories: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A user's view of an experiment's samples: the table, and the samples of the view in order."""

    table: SampleTable
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What there is to know of samples: names of columns, rows of a view, and one sample's values if asked for."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    sample: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Read:
    """All samples, and what people say of them, read once."""

    table: SampleTable | None
    values: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, Sequence[str] | None]


class Samples:
    """Samples of an experiment, as one user sees them.

    Args:
        runs: The training service.
        files: What runs have written.
        store: Keeps views, and what people say of samples.
        settings: Limits.
    """

    def __init__(self, runs: Runs, files: SampleFiles, store: ExperimentStore, settings: ExperimentSettings) -> None:
        self._runs, self._files, self._store, self._settings = runs, files, store, settings

    async def table(self, experiment: Experiment) -> SampleTable | None:
        """Return the experiment's samples with what people say of them, None where no run has written any."""
        return (await self._read(experiment)).table

    async def seen(self, experiment: Experiment) -> Seen | None:
        """Return the caller's view, None where there are no samples."""
        return await self._seen(experiment, await self.table(experiment))

    async def counts(self, experiment: Experiment) -> Counts:
        """Count the samples."""
        read = await self._read(experiment)
        seen = await self._seen(experiment, read.table)
        every = frozenset() if seen is None else frozenset(seen.table.ids())
        return Counts(
            every=len(every),
            seen=0 if seen is None else len(seen.ids),
            discarded=sum(each in every for each, is_so in read.values.get(DISCARDED, {}).items() if is_so),
            tags=list(read.tags),
            categories={name: list(each) for name, each in read.tags.items() if each},
        )

    async def _read(self, experiment: Experiment) -> _Read:
        values = await self._store.values(experiment.place)
        tags = await self._store.tags(experiment.place)
        return _Read(await self._files.table(experiment.runs, values, list(tags)), values, tags)

    async def _seen(self, experiment: Experiment, table: SampleTable | None) -> Seen | None:
        if table is None:
            return None
        ids = table.ids()
        for query in await self._store.view(experiment.place):
            ids = table.select(ids, query)
        return Seen(table, ids)

    async def query(self, experiment: Experiment, query: str) -> Counts:
        """Narrow or order the caller's view; `@reset` shows all again. What fails changes nothing.

        Raises:
            InvalidInput: The query does not parse; the text points at the place.
            NotFound: There are no samples.
        """
        if len(query.encode()) > self._settings.experiment_text_bytes:
            raise InvalidInput(f"query: expected at most {self._settings.experiment_text_bytes} bytes")
        before = list(await self._store.view(experiment.place))
        if query.strip() in _RESETS:
            queries: list[str] = []
        else:
            seen = await self.seen(experiment)
            if seen is None:
                raise NotFound("no run of this experiment has written samples yet")
            seen.table.select(seen.ids, query)
            queries = [*before, query]
        await self._store.set_view(experiment.place, queries, Entry("query_execute", {"query": query}))
        return await self.counts(experiment)

    async def page(self, experiment: Experiment, start: int, count: int) -> tuple[Seen, Sequence[Mapping[str, Any]]]:
        """Return some rows of the caller's view.

        Raises:
            InvalidInput: The range is none.
            NotFound: It is beyond the end.
        """
        self._check_page(start, count)
        return _page(await self.seen(experiment), start, count)

    async def metadata(self, experiment: Experiment, start: int, count: int, sample: str) -> Metadata:
        """Return the names of columns, some rows of the caller's view, and the values of a sample.

        Args:
            experiment: The experiment.
            start: First row of the view.
            count: Rows; 0 for none.
            sample: A sample, in the view or not; none if empty.

        Raises:
            InvalidInput: The range is none.
            NotFound: It is beyond the end, or there is no such sample; the text names the nearest.
        """
        table = await self.table(experiment)
        rows: Sequence[Mapping[str, Any]] = ()
        if count:
            self._check_page(start, count)
            _, rows = _page(await self._seen(experiment, table), start, count)
        found = _row(table, sample) if sample else None
        return Metadata(() if table is None else table.columns, rows, found)

    async def find(self, experiment: Experiment, sample: str) -> Mapping[str, Any]:
        """Return the values of a sample.

        Raises:
            NotFound: There is none; the text names the nearest.
        """
        return _row(await self.table(experiment), sample)

    def _check_page(self, start: int, count: int) -> None:
        most = self._settings.experiment_page
        if start < 0 or not 0 < count <= most:
            raise InvalidInput(f"expected start_index from 0 and records_cnt from 1 to {most}, got {start} and {count}")

    async def splits(self, experiment: Experiment) -> Sequence[str]:
        """Return the names of splits, sorted: of samples, else those that the current run can evaluate."""
        table = await self.table(experiment)
        if table is not None:
            return sorted(bar.label for bar in table.histogram(table.ids(), "origin", 1).bars)
        return sorted((await self._runs.describe(experiment.current.id))[1]) if experiment.runs else []

    async def with_tags(self, experiment: Experiment, tags: Sequence[str], split: str = "") -> Sequence[str]:
        """Return the samples that have all of some tags, of a split or of all."""
        table = await self.table(experiment)
        if table is None:
            return []
        return [
            row["sample_id"]
            for row in table.rows(table.ids())
            if (not split or row["origin"] == split) and all(row.get(f"{TAG}{tag}") for tag in tags)
        ]

    async def of_split(self, experiment: Experiment, split: str) -> Sequence[Mapping[str, Any]]:
        """Return the values of a split's samples."""
        table = await self.table(experiment)
        return [] if table is None else [row for row in table.rows(table.ids()) if row["origin"] == split]

    async def histogram(self, experiment: Experiment, column: str, bins: int) -> tuple[Seen, Histogram]:
        """Sum up a column of the caller's view.

        Raises:
            NotFound: There is no such column; the text names the nearest.
        """
        seen = await self.seen(experiment)
        known = () if seen is None else seen.table.columns
        if seen is None or column not in known:
            raise NotFound(f"there is no column {column[:64]!r}{near(column, known)}")
        return seen, seen.table.histogram(seen.ids, column, bins)

    async def trajectories(
        self, experiment: Experiment, signal: str, samples: Sequence[str], points: int
    ) -> Mapping[str, Sequence[float]]:
        """Return what a signal was for samples, step by step.

        Raises:
            NotFound: There is no such signal.
        """
        table = await self.table(experiment)
        known = () if table is None else table.columns
        if table is None or signal not in known:
            raise NotFound(f"there is no signal {signal[:64]!r}{near(signal, known)}")
        return table.trajectory(signal, samples[: self._settings.experiment_page], points)

    async def at_step(self, experiment: Experiment, signal: str, step: int) -> Mapping[str, float]:
        """Return the samples behind a point of a curve; none where it is not one of samples."""
        table = await self.table(experiment)
        return {} if table is None or signal not in table.columns else table.at_step(signal, step)


def _page(seen: Seen | None, start: int, count: int) -> tuple[Seen, Sequence[Mapping[str, Any]]]:
    if seen is None or start >= len(seen.ids):
        raise NotFound("No samples found")
    return seen, seen.table.rows(seen.ids[start : start + count])


def _row(table: SampleTable | None, sample: str) -> Mapping[str, Any]:
    known = () if table is None else table.ids()
    if table is None or sample not in known:
        raise NotFound(f"there is no sample {sample[:64]!r}{near(sample, known)}")
    return table.rows([sample])[0]
