"""Times of nodes' forwards, per session."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from swath.service import Profiling

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
class _Series:
    skipped: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = 0.0
    total: float = 0.0
    last: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, value: float) -> None:
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.squares += delta * (value - self.mean)
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.total += value
        self.last = value
        self.recent.append(value)


class Profiler:
    """Recorded times of the sessions that have profiling on.

    A session's record belongs to one generation of its switches: a reset starts the next one.
    """

    def __init__(self) -> None:
        self._records: dict[str, tuple[int, dict[tuple[str, str], _Series]]] = {}

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

    def _record(self, session_id: str, switches: Profiling) -> dict[tuple[str, str], _Series]:
        generation, record = self._records.get(session_id, (-1, {}))
        if generation != switches.generation:
            record = defaultdict(_Series)
            self._records[session_id] = (switches.generation, record)
        return record

    def summary(self, session_id: str, switches: Profiling, stage: str | None) -> list[NodeTimes]:
        """Return statistics of a session's nodes, of one stage or all."""
        generation, record = self._records.get(session_id, (-1, {}))
        if generation != switches.generation:
            return []
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
            for (node, at), series in record.items()
            if series.count and stage in (None, at)
        ]

    def forget(self, session_id: str) -> None:
        """Drop a session's record."""
        self._records.pop(session_id, None)
