"""What is printed instead of logged, as much code does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, TextIO

_LONGEST = 4096


class StdioCapture:
    """A standard stream whose lines become log lines too.

    Args:
        stream: Where everything goes on to at once.
        name: Logger of the lines, such as "stdout".
        log: Takes the lines.
    """

    def __init__(self, stream: TextIO, name: str, log: logging.Handler) -> None:
        self._stream = stream
        self._name = name
        self._log = log
        self._rest = ""
        self._guard = threading.Lock()

    def write(self, text: str) -> int:
        """Print a text, and log the lines that it ends."""
        written = self._stream.write(text)
        with self._guard:
            *lines, self._rest = (self._rest + text).split("\n")
            # A bar that redraws itself never ends its line.
            self._rest = self._rest[-_LONGEST:]
        for line in lines:
            if seen := line.rstrip().rpartition("\r")[2]:
                facts = {"name": self._name, "levelno": logging.INFO, "levelname": "INFO", "msg": seen}
                self._log.handle(logging.makeLogRecord(facts))
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        """Print texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
