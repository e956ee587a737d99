"""The samples of an experiment as one table: what they are, what runs say of them, what people say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from swath.samples import signals
from swath.samples.edits import Edits, Tag, signal_column
from swath.samples.ordering import sorted_places
from swath.samples.query import Query, condition, sort_columns

INDEX, DISCARDED = "index", "discarded"
_WANTED = "\0wanted"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many samples there are.

    Attributes:
        total: Samples of the experiment.
        view: Those that the view shows.
        discarded: Of the experiment's, those that training leaves out.
    """

    total: int
    view: int
    discarded: int

    @property
    def in_loop(self) -> int:
        """Samples that training uses."""
        return self.total - self.discarded


class SampleTable:
    """All samples of an experiment, and their columns.

    Rows keep their places, so a view is an array of row numbers. Signals and edits replace single columns: the table is
    never built anew. Belongs to one thread at a time.

    Args:
        manifest: The samples, as `manifest.read` gives them. Of samples that are there twice the first counts.
    """

    def __init__(self, manifest: pl.DataFrame) -> None:
        frame = manifest.unique("sample_id", keep="first", maintain_order=True)
        self._ids = frame["sample_id"]
        self._rows: dict[str, int] | None = None
        self._signals: dict[str, np.ndarray] = {}
        self._steps: dict[str, np.ndarray] = {}
        self._edited: list[str] = []
        self._frame = frame.with_columns(
            pl.int_range(frame.height, dtype=pl.Int64).alias(INDEX), pl.lit(value=False).alias(DISCARDED)
        )

    @property
    def frame(self) -> pl.DataFrame:
        """All columns of all samples, in their order."""
        return self._frame

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return self._frame.columns

    def __len__(self) -> int:
        return self._frame.height

    def row(self, sample_id: str) -> int | None:
        """Return the place of a sample; None for an id that is none's."""
        if self._rows is None:
            self._rows = {sample: row for row, sample in enumerate(self._ids)}
        return self._rows.get(sample_id)

    def extend(self, manifest: pl.DataFrame) -> None:
        """Append the samples of another manifest that are not there yet, such as those of a later run."""
        new = manifest.unique("sample_id", keep="first", maintain_order=True).filter(
            ~pl.col("sample_id").is_in(self._ids.implode())
        )
        if not new.height:
            return
        start = len(self)
        new = new.with_columns(
            pl.int_range(start, start + new.height, dtype=pl.Int64).alias(INDEX), pl.lit(value=False).alias(DISCARDED)
        )
        self._frame = pl.concat([self._frame, new], how="diagonal_relaxed")
        self._ids, self._rows = self._frame["sample_id"], None
        for values in (self._signals, self._steps):
            for name, array in values.items():
                empty = np.nan if array.dtype.kind == "f" else -1
                values[name] = np.concatenate([array, np.full(new.height, empty, array.dtype)])

    def add_segment(self, segment: pl.DataFrame) -> None:
        """Take the signals of a segment: of each sample the value of the latest step counts."""
        found = [self.row(sample) for sample in segment["sample_id"]]
        rows = np.array([-1 if row is None else row for row in found], np.int64)
        steps, known = segment["step"].to_numpy(), rows >= 0
        for name in signals.names(segment):
            values = segment[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            kept = known & ~np.isnan(values)
            places_of, steps_of, values_of = rows[kept], steps[kept], values[kept]
            order = np.argsort(steps_of, kind="stable")
            places_of, steps_of, values_of = places_of[order], steps_of[order], values_of[order]
            column = signal_column(name)
            latest = self._signals.get(column, np.full(len(self), np.nan)).copy()
            at = self._steps.setdefault(column, np.full(len(self), -1, np.int64))
            newer = steps_of >= at[places_of]
            latest[places_of[newer]] = values_of[newer]
            at[places_of[newer]] = steps_of[newer]
            # A column shares the array's memory, and who holds the table as it was must not see this.
            self._signals[column] = latest
            self._set(pl.Series(column, latest, nan_to_null=True))

    def apply(self, edits: Edits) -> None:
        """Have the columns of edits be as these say; those of edits before go."""
        self._frame = self._frame.drop(self._edited)
        self._edited = []
        discarded = np.zeros(len(self), bool)
        discarded[self._places(edits.discarded)] = True
        self._set(pl.Series(DISCARDED, discarded))
        for tag in edits.tags.values():
            self._edited.append(tag.column)
            self._set(self._tagged(tag))
        for name, values in edits.columns.items():
            self._edited.append(name)
            self._set(self._of_values(name, values))

    def view(self, query: Query | None = None, within: np.ndarray | None = None) -> np.ndarray:
        """Return the places of the samples that a query wants, in its order.

        Args:
            query: None for all of them, in their own order.
            within: Only among these places, in this order; all if None.

        Raises:
            QueryInvalid: It asks for what there is not.
        """
        places = np.arange(len(self)) if within is None else within
        if query is None:
            return places
        schema = self._frame.schema
        if (wanted := condition(query, schema)) is not None:
            shown = self._frame.with_columns(wanted.alias(_WANTED))[_WANTED].to_numpy()
            places = places[shown[places]]
        if query.order:
            columns, descending = sort_columns(query, schema)
            stop = len(places) if query.count is None else query.start + query.count
            some = places[query.start : stop]
            ordered = sorted_places([self._frame[name][some] for name in columns], descending)
            places = np.concatenate([places[: query.start], some[ordered], places[stop:]])
        return places if query.head is None else places[: query.head]

    def counts(self, view: np.ndarray) -> Counts:
        """Return how many samples there are in all and in a view."""
        return Counts(len(self), len(view), int(self._frame[DISCARDED].sum()))

    def rows(self, places: Sequence[int] | np.ndarray) -> pl.DataFrame:
        """Return all columns of the samples at some places."""
        return self._frame[np.asarray(places, np.int64)]

    def _set(self, column: pl.Series) -> None:
        self._frame = self._frame.with_columns(column)

    def _places(self, sample_ids: Iterable[str]) -> np.ndarray:
        found = (self.row(each) for each in sample_ids)
        return np.fromiter((row for row in found if row is not None), np.int64)

    def _tagged(self, tag: Tag) -> pl.Series:
        if not tag.categories:
            has = np.zeros(len(self), bool)
            has[self._places(name for name, value in tag.members.items() if value)] = True
            return pl.Series(tag.column, has)
        return self._of_values(tag.column, tag.members, pl.String())

    def _of_values(
        self, name: str, values: Mapping[str, float | str | bool | None], kind: pl.DataType | None = None
    ) -> pl.Series:
        listed: list[float | str | bool | None] = [None] * len(self)
        for sample, value in values.items():
            if (row := self.row(sample)) is not None:
                listed[row] = value
        return pl.Series(name, listed, dtype=kind, strict=False)
