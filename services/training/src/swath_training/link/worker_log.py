"""Log lines of a worker, on their way to the service: kept for a while, never waited for."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from structlog.processors import format_exc_info

from swath_training.link.messages import log_line
from swath_training.runs.items import Line

# What has a field of its own in a line, or is the same in all lines of an attempt.
_NOT_FACTS = frozenset(
    ("event", "exception", "exc_info", "level", "logger", "timestamp", "run", "attempt", "session", "trace")
)
_TEXT_CHARS = 4096
_EXCEPTION_CHARS = 16_384
_FACTS = 32
_FACT_CHARS = 256
# What a message has per line beside it.
_FRAME_BYTES = 16


class WorkerLog(logging.Handler):
    """Takes log lines and keeps the last ones, also those that were sent: a link may break with them on the way.

    Args:
        facts: Facts that are added to each line.
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
        """Number the lines from here on; only the first call counts.

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

    def after(self, number: int, max_bytes: int = sys.maxsize) -> list[Line]:
        """Return the lines after a number, as far as they are kept; none before `begin`.

        Args:
            number: That number.
            max_bytes: Bytes at most; one line at least is returned all the same.
        """
        found: list[Line] = []
        with self._guard:
            first = self.last - len(self._kept) + 1
            skipped = max(number + 1 - first, 0)
            for index, payload in enumerate(islice(self._kept, skipped, None), start=skipped):
                max_bytes -= len(payload) + _FRAME_BYTES
                if found and max_bytes < 0:
                    break
                found.append(Line(first + index, payload))
        return found


def _payload(record: logging.LogRecord, shown: Callable[[str], str], more: Mapping[str, str]) -> bytes:
    # structlog hands a dictionary through, others a text.
    fields: dict[str, Any] = {"exc_info": record.exc_info}
    if isinstance(record.msg, dict) and "event" in record.msg:
        fields |= record.msg
    else:
        fields["event"] = record.getMessage()
    fields |= format_exc_info(None, "", fields)
    fields |= more
    facts = ((name, str(value)) for name, value in fields.items() if name not in _NOT_FACTS)
    return log_line(
        time=record.created,
        level=record.levelname.lower(),
        logger=record.name,
        text=shown(str(fields["event"]))[:_TEXT_CHARS],
        # The end of a traceback has the error.
        exception=shown(str(fields.get("exception", "")))[-_EXCEPTION_CHARS:],
        facts={name: shown(value)[:_FACT_CHARS] for name, value in islice(facts, _FACTS)},
    )
