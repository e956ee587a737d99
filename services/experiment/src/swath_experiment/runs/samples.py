"""Samples as this service sees them, and what it asks of what runs have written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from swath_experiment.runs.model import Run

if TYPE_CHECKING:
    from swath.samples.histograms import Bar, Bin


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture as the page takes it: WebP, with its shape (height, width, channels)."""

    webp: bytes
    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A column summed up: bins of numbers in the order of rows, or else bars of labels."""

    bins: Sequence[Bin] | None = None
    bars: Sequence[Bar] = ()


class SampleTable(Protocol):
    """The samples of an experiment as a table, with what people say of them laid over it."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of columns, `sample_id` and `origin` first."""
        ...

    def ids(self) -> Sequence[str]:
        """Return all samples, in their own order."""
        ...

    def select(self, ids: Sequence[str], query: str) -> Sequence[str]:
        """Return those of some samples that a query wants, in its order.

        Raises:
            InvalidInput: The query does not parse, or names a column that there is not; the text points at the place.
        """
        ...

    def rows(self, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return the values of samples by column, in the order of the ids."""
        ...

    def histogram(self, ids: Sequence[str], column: str, most: int) -> Histogram:
        """Sum a column up: into at most so many bins, or the usual number of bars."""
        ...

    def trajectory(self, signal: str, ids: Sequence[str], points: int) -> Mapping[str, Sequence[float]]:
        """Return what a signal was for samples, step by step."""
        ...

    def at_step(self, signal: str, step: int) -> Mapping[str, float]:
        """Return the samples that a signal was measured for at a step."""
        ...

    async def picture(self, sample: str, kind: str, width: int, height: int) -> Picture | None:
        """Return a picture that fits into a box; None where there is none."""
        ...


class SampleFiles(Protocol):
    """Files that runs have written of their samples."""

    async def table(
        self, runs: Sequence[Run], values: Mapping[str, Mapping[str, Any]], tags: Sequence[str]
    ) -> SampleTable | None:
        """Return the samples of runs as a table, None where they have written none.

        Args:
            runs: Of one experiment, newest first.
            values: What people say of samples: values by sample, by column.
            tags: Tags that some samples may have.
        """
        ...
