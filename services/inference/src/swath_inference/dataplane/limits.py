"""Bounds of a device's queue, and what it has done."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Upper bounds of the numbers of calls that forwards are counted by."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a queue and of what is taken from it at once.

    Attributes:
        queue: Calls that may wait or run.
        calls: Calls of one forward; 1 for no batches.
        preferred: Calls from which on a batch waits for no more.
        size: Bytes of the inputs of a batch of several calls.
        delay: Longest wait of a batch for more calls, seconds.
    """

    queue: int = 256
    calls: int = 64
    preferred: int = 32
    size: int = 64 * 1024**2
    delay: float = 0.002


@dataclass
class Counts:
    """What a queue has done so far.

    Attributes:
        forwards: Forwards.
        calls: Calls that were computed.
        merged: Those of them that were computed with others.
        seconds: Sum of the seconds that calls waited before they were started.
        dropped: Calls that were never started, because nobody waited for them any more.
        by_size: Forwards by the number of their calls: as many as `SIZES` has bounds, and those above.
    """

    forwards: int = 0
    calls: int = 0
    merged: int = 0
    seconds: float = 0.0
    dropped: int = 0
    by_size: list[int] = field(default_factory=lambda: [0] * (len(SIZES) + 1))

    def computed(self, calls: int) -> None:
        """Count a forward of some calls."""
        self.forwards += 1
        self.calls += calls
        if calls > 1:
            self.merged += calls
        self.by_size[bisect_left(SIZES, calls)] += 1

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        """Return the sums of those of several queues."""
        found = cls()
        for part in parts:
            found.forwards += part.forwards
            found.calls += part.calls
            found.merged += part.merged
            found.seconds += part.seconds
            found.dropped += part.dropped
            found.by_size = [one + other for one, other in zip(found.by_size, part.by_size, strict=True)]
        return found
