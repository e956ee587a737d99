"""What the calls of published models were, by model and version."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

from swath.errors import SwathError
from swath_inference.published.model import Published
from swath_inference.published.models import PublishedModels

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Bounds of the buckets of times, in seconds."""
CALLS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Bounds of the buckets of batches, in calls."""


class Histogram:
    """Figures by size.

    Args:
        bounds: Of the buckets, in ascending order.

    Attributes:
        bounds: As given.
        counts: Of each bucket, and of what is above all of them.
        total: Sum of the figures.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, figure: float) -> None:
        """Count a figure."""
        self.counts[bisect_left(self.bounds, figure)] += 1
        self.total += figure


class VersionCounts:
    """Counts of the calls of one version.

    Attributes:
        ended: Calls, by the name of their status.
        seconds: Times from the begin of a call to its end.
        waited: Times that calls waited for the device.
        batches: Calls that were computed together with a call, itself among them.
    """

    __slots__ = ("batches", "ended", "seconds", "waited")

    def __init__(self) -> None:
        self.ended: dict[str, int] = {}
        self.seconds = Histogram(SECONDS)
        self.waited = Histogram(SECONDS)
        self.batches = Histogram(CALLS)

    def end(self, code: str, seconds: float) -> None:
        """Count a call that has ended, however it has."""
        self.ended[code] = self.ended.get(code, 0) + 1
        self.seconds.add(seconds)

    def started(self, waited: float, together: int) -> None:
        """Count a call that the device begins with.

        Args:
            waited: Seconds for which it waited.
            together: Calls that are computed with it, itself among them.
        """
        self.waited.add(waited)
        self.batches.add(together)


class ModelCounts:
    """Counts of the calls of all versions that are published: what no longer is, is forgotten.

    Args:
        models: What is published.
    """

    def __init__(self, models: PublishedModels) -> None:
        self._models = models
        self._counts: dict[tuple[str, int], VersionCounts] = {}

    def of(self, published: Published) -> VersionCounts:
        """Return the counts of a version."""
        what = published.name, published.version
        counts = self._counts.get(what)
        if counts is None:
            counts = VersionCounts()
            # One that was unpublished while its last calls run is not counted any more.
            if self._models.has(published):
                self._counts[what] = counts
        return counts

    def forget(self) -> None:
        """Forget the versions that are no longer published."""
        self._counts = self.read()

    def read(self) -> dict[tuple[str, int], VersionCounts]:
        """Return the counts of published versions, by model and number. May be called in another thread."""
        counts = self._counts.copy().items()
        return {(name, number): each for (name, number), each in counts if number in self._models.versions(name)}


OK = "OK"
"""Status of a call that went well."""


def code_of(error: BaseException) -> str:
    """Return the status of a call that ended with an error, spelled as in the metrics of gRPC."""
    if isinstance(error, SwathError):
        code = error.code
    else:
        code = "CANCELLED" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "INTERNAL"
    return "Canceled" if code == "CANCELLED" else "".join(map(str.capitalize, code.split("_")))
