"""Bounds of a device's queue, and what it has done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass


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
    """

    forwards: int = 0
    calls: int = 0
    merged: int = 0
    seconds: float = 0.0
    dropped: int = 0

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        """Return the sums of those of several queues."""
        return cls(*(sum(column) for column in zip(*map(astuple, parts), strict=True)))
