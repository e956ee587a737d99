"""What a worker logs, on its way to the service: kept for a while, never waited for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from structlog.processors import format_exc_info

from swath_training.link.messages import log_line
from swath_training.runs.items import Line

# What the line says elsewhere, or what is the same in all lines of an attempt.
_NOT_FACTS = frozenset(
    ("event", "exception", "exc_info", "exc_info", "level", "logger", "timestamp", "run", "attempt", "session", "trace")
)
_TEXT_CHARS = 4096
_EXCEPTION_CHARS = 16_384
_FACTS = 32
_FACT_CHARS = 256


class WorkerLog(logging.Handler):
    """Takes log lines and keeps the last ones, also those that were sent: a link may break with them on the way.

    Args:
        facts: What all of its lines say besides.
        max_bytes: Bytes of lines that are kept at most.

    Attributes:
        shown: Gives a text with the paths in it as clients know them.
        arrived: Called when there is a line to send, in whichever thread.
    """

    def __init__(self, facts: Mapping[str, str] = MappingProxyType({}), *, max_bytes: int = 256 << 10) -> None:
        super().__init__()
        self.shown: Callable[[str], str] = str
        self.arrived: Callable[[], None] = lambda: None
        self._facts = facts
        self._max_bytes = max_bytes
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._count = 0
        self._before: int | None = None
        # Apart from the handler's own, which is held while others format.
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line (the handler's part of `logging`)."""
        try:
            payload = _payload(record, self.shown, self._facts)
        except Exception:
            self.handleError(record)
            return
        self.take(payload)

    def take(self, payload: bytes) -> None:
        """Keep a line that another process of the run has made."""
        with self._guard:
            self._count += 1
            self._kept.append(payload)
            self._bytes += len(payload)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._kept.popleft())
        self.arrived()

    def begin(self, logged: int) -> None:
        """Number the lines from here on; only what is said first counts.

        Args:
            logged: Last line of the run that the service has of earlier attempts.
        """
        with self._guard:
            if self._before is None:
                self._before = logged

    @property
    def last(self) -> int:
        """Number of the last line; 0 before `begin`."""
        return 0 if self._before is None else self._before + self._count

    def after(self, number: int) -> list[Line]:
        """Return the lines after a number, as far as they are kept; none before `begin`."""
        with self._guard:
            first = self.last - len(self._kept) + 1
            skipped = max(number + 1 - first, 0)
            return [Line(first + index, payload) for index, payload in enumerate(self._kept) if index >= skipped]


def _payload(record: logging.LogRecord, shown: Callable[[str], str], more: Mapping[str, str]) -> bytes:
    # structlog hands a dictionary through, others a text.
    said: dict[str, Any] = {"exc_info": record.exc_info}
    if isinstance(record.msg, dict) and "event" in record.msg:
        said |= record.msg
    else:
        said["event"] = record.getMessage()
    said |= format_exc_info(None, "", said)
    said |= more
    facts = ((name, str(value)) for name, value in said.items() if name not in _NOT_FACTS)
    return log_line(
        time=record.created,
        level=record.levelname.lower(),
        logger=record.name,
        text=shown(str(said["event"]))[:_TEXT_CHARS],
        # Its end says what happened.
        exception=shown(str(said.get("exception", "")))[-_EXCEPTION_CHARS:],
        facts={name: shown(value)[:_FACT_CHARS] for name, value in islice(facts, _FACTS)},
    )
