"""Folds log lines that repeat: after a few in a second, one line says how many more there were."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

PER_SECOND = 5
"""Lines that are alike and written in a second; the others are counted."""

_ALIKE = ("event", "method", "code", "reason", "error", "service", "run")
"""Fields that lines have in common which tell of the same. Others, such as the session, may differ."""
_WHOLE = "swath.audit"
"""Each of its lines counts: they record who changed what."""
_KINDS = 1000
"""Kinds of line that are told apart in a second; those beyond are written as they come."""


@dataclass(slots=True)
class _Kind:
    first: logging.LogRecord
    since: float
    count: int = 1


class Folding:
    """Which lines are written, and how many were not. For any thread.

    Args:
        clock: Seconds, from any moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._kinds: dict[Hashable, _Kind] = {}

    def admit(self, record: logging.LogRecord) -> bool:
        """Return whether a line is to be written; where it is not, it is counted."""
        if record.name == _WHOLE:
            return True
        key, now = _key(record), self._clock()
        with self._lock:
            kind = self._kinds.get(key)
            if kind is None or (now - kind.since >= 1.0 and kind.count <= PER_SECOND):
                if len(self._kinds) < _KINDS:
                    self._kinds[key] = _Kind(record, now)
                return True
            kind.count += 1
            return kind.count <= PER_SECOND

    def take(self) -> list[tuple[logging.LogRecord, int]]:
        """Return what was folded in seconds that are over: a line of each kind, and how many more there were."""
        now = self._clock()
        with self._lock:
            over = {key: kind for key, kind in self._kinds.items() if now - kind.since >= 1.0}
            for key in over:
                del self._kinds[key]
        return [(kind.first, kind.count - PER_SECOND) for kind in over.values() if kind.count > PER_SECOND]


def _key(record: logging.LogRecord) -> Hashable:
    if isinstance(record.msg, Mapping):
        facts = tuple(str(record.msg.get(name, "")) for name in _ALIKE)
    else:
        facts = (str(record.msg),)
    return (record.name, record.levelno, *facts)
