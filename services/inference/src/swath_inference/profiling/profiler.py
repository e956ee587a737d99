"""Times of nodes' forwards, per session."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from swath.sessions.model import Profiling

WINDOW = 4096
"""Latest times of a node that its median is taken over; the other figures are over all."""


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """Statistics of one node in one stage; times in milliseconds."""

    node: str
    stage: str
    count: int
    mean: float
    median: float
    std: float
    minimum: float
    maximum: float
    total: float
    last: float


@dataclass(slots=True)
class Series:
    """Times of one node in one stage at one replica; milliseconds.

    Attributes:
        skipped: Calls that were left out.
        squares: Sum of squared differences from the mean.
        last_at: Unix time of the last one, seconds.
        recent: The latest times.
    """

    skipped: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = 0.0
    total: float = 0.0
    last: float = 0.0
    last_at: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, value: float) -> None:
        """Take one time in."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.squares += delta * (value - self.mean)
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.total += value
        self.last = value
        self.last_at = time.time()
        self.recent.append(value)

    def merged(self, other: Series) -> Series:
        """Return the series of both; sums of squares merge by Chan, Golub and LeVeque's formula."""
        count = self.count + other.count
        delta = other.mean - self.mean
        newest = max(self, other, key=lambda each: each.last_at)
        return Series(
            count=count,
            mean=self.mean + delta * other.count / count,
            squares=self.squares + other.squares + delta * delta * self.count * other.count / count,
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            total=self.total + other.total,
            last=newest.last,
            last_at=newest.last_at,
            recent=deque((*self.recent, *other.recent)),
        )


Record = dict[tuple[str, str], Series]
"""Series by node and stage."""


class Profiler:
    """Recorded times of the sessions that have profiling on.

    A session's record belongs to one generation of its switches: a reset starts the next one.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[int, Record]] = {}

    def observer(self, session_id: str, switches: Profiling, stage: str) -> Callable[[str, float], None] | None:
        """Return what a forward reports its nodes' seconds to; None when profiling is off, so that nothing is paid."""
        if not switches.enabled:
            return None
        record = self._record(session_id, switches)

        def observe(node: str, seconds: float) -> None:
            series = record[node, stage]
            if series.skipped < switches.skip_first:
                series.skipped += 1
            else:
                series.add(seconds * 1000)

        return observe

    def _record(self, session_id: str, switches: Profiling) -> Record:
        generation, record = self._records.get(session_id, (-1, {}))
        if generation != switches.generation:
            record = defaultdict(Series)
            self._records[session_id] = (switches.generation, record)
        return record

    def read(self, session_id: str, generation: int) -> Record:
        """Return what was recorded of a session in one generation of its switches."""
        recorded, record = self._records.get(session_id, (-1, {}))
        return {key: series for key, series in record.items() if series.count} if recorded == generation else {}

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that have a record."""
        return set(self._records)

    def forget(self, session_id: str) -> None:
        """Drop a session's record."""
        self._records.pop(session_id, None)


def summary(records: Iterable[Record], stage: str | None) -> list[NodeTimes]:
    """Return statistics of nodes over the records of all replicas, of one stage or all."""
    merged: Record = {}
    for record in records:
        for key, series in record.items():
            merged[key] = merged[key].merged(series) if key in merged else series
    return [
        NodeTimes(
            node=node,
            stage=at,
            count=series.count,
            mean=series.mean,
            median=statistics.median(series.recent),
            std=math.sqrt(series.squares / series.count),
            minimum=series.minimum,
            maximum=series.maximum,
            total=series.total,
            last=series.last,
        )
        for (node, at), series in merged.items()
        if stage in (None, at)
    ]


class Replicas(Protocol):
    """The other replicas of this service.

    Attributes:
        name: Of this replica among them.
    """

    name: str

    async def read(self, session_id: str, generation: int) -> list[Record]:
        """Return what each has recorded of a session in one generation of its profiling switches."""
        ...


class NoReplicas:
    """No other replicas."""

    name = ""

    async def read(self, session_id: str, generation: int) -> list[Record]:
        """Return nothing."""
        return []
