"""Rows of sessions in memory, for as long as they are known to be the newest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

from swath.sessions.model import Session

_PRUNE_FROM = 64

_memories: WeakSet[RowMemory] = WeakSet()


def reads() -> dict[str, int]:
    """Return how many reads of sessions this process has answered from memory, and for how many it has asked."""
    memories = tuple(_memories)
    return {"memory": sum(each.found for each in memories), "authority": sum(each.missed for each in memories)}


def clock() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the machine sleeps where it has such a one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class _Row:
    session: Session
    until: float
    used: float


class Reading:
    """A read that is under way: what it brings is kept only if nothing was dropped since it began.

    Attributes:
        began: When, by the memory's clock.
    """

    def __init__(self, memory: RowMemory, began: float) -> None:
        self._memory = memory
        self.began = began
        self.dropped: set[str] = set()

    def keep(self, session: Session, for_s: float) -> bool:
        """Answer from memory with this row, and say whether that was possible.

        Args:
            session: As this read has found it.
            for_s: Seconds for which it may be answered, counted from when the read began.
        """
        return session.id not in self.dropped and self._memory._keep(session, self.began + for_s)


class RowMemory:
    """Rows that may be answered without a read until a moment, unless they are dropped before.

    Nothing here waits, so the clock is looked at after a call has arrived however long the process was stopped: a row
    that is found was the newest at some moment of the call.

    Args:
        clock: Returns seconds; must not be set back, nor stand still while other machines' clocks go on.

    Attributes:
        found: Questions that were answered so far.
        missed: Those that were not.
    """

    def __init__(self, clock: Callable[[], float] = clock) -> None:
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._readings: list[Reading] = []
        self._writing: Counter[str] = Counter()
        self._prune_at = _PRUNE_FROM
        self.found = 0
        self.missed = 0
        _memories.add(self)

    def find(self, session_id: str) -> Session | None:
        """Return a session as no write that was acknowledged by now has left it behind; None where it must be read."""
        row = self._rows.get(session_id)
        if row is None or (now := self._clock()) >= row.until:
            self.missed += 1
            return None
        row.used = now
        self.found += 1
        return row.session

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Around a read of rows: open it before the question is sent."""
        reading = Reading(self, self._clock())
        self._readings.append(reading)
        try:
            yield reading
        finally:
            self._readings.remove(reading)

    def drop(self, session_id: str) -> None:
        """Answer with this row no more, nor with what reads that are under way bring of it."""
        self._rows.pop(session_id, None)
        for reading in self._readings:
            reading.dropped.add(session_id)

    def clear(self) -> bool:
        """Answer with no row any more, and say whether there were some."""
        rows, self._rows = self._rows, {}
        return bool(rows)

    @contextmanager
    def writing(self, session_id: str) -> Iterator[None]:
        """Around a write of a row by this process: meanwhile it is not answered from memory."""
        self._writing[session_id] += 1
        self.drop(session_id)
        try:
            yield
        finally:
            self.drop(session_id)
            self._writing[session_id] -= 1
            if not self._writing[session_id]:
                del self._writing[session_id]

    def used_since(self, moment: float) -> dict[str, float]:
        """Return the rows that were found since a moment, and until when each may be answered."""
        return {key: row.until for key, row in self._rows.items() if row.used >= moment}

    def _keep(self, session: Session, until: float) -> bool:
        now = self._clock()
        if session.id in self._writing or now >= until:
            return False
        before = self._rows.get(session.id)
        self._rows[session.id] = _Row(session, until, now if before is None else before.used)
        if len(self._rows) > self._prune_at:
            self._rows = {key: row for key, row in self._rows.items() if row.until > now}
            self._prune_at = 2 * len(self._rows) + _PRUNE_FROM
        return True
