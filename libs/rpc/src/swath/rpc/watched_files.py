"""What files hold, read again when they change."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_INTERVAL_S = 0.1
_TRIES = 5

_log = logging.getLogger("swath.files")


class Watched(Generic[T]):
    """The last good reading of some files that belong together. For any thread.

    Files are looked at when `get` is called, at most ten times per second. What cannot be read leaves a warning in the
    log and the reading before it in force: half of a rotation must not take a server down.

    Args:
        paths: The files.
        read: Reads them; raises OSError or ValueError where it makes no sense.

    Raises:
        OSError, ValueError: By the first reading.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._lock = threading.Lock()
        self._value, self._stamp = self._consistent()
        self._looked_at = time.monotonic()

    def get(self) -> T:
        """Return what the files hold; the same object as long as they do not change."""
        if time.monotonic() - self._looked_at >= _POLL_INTERVAL_S:
            with self._lock:
                self._look()
        return self._value

    def _look(self) -> None:
        stamp = self._stat()
        if stamp != self._stamp:
            try:
                self._value, stamp = self._consistent()
            except (OSError, ValueError) as error:
                # Not tried again before the files change again.
                _log.warning("changed files cannot be used; going on as before", extra=self._fields(error=str(error)))
            else:
                _log.info("changed files taken up", extra=self._fields())
            self._stamp = stamp
        self._looked_at = time.monotonic()

    def _consistent(self) -> tuple[T, object]:
        """Read while nobody writes."""
        for last in (False,) * (_TRIES - 1) + (True,):
            before = self._stat()
            try:
                value = self._read()
            except (OSError, ValueError):
                if last or self._stat() == before:
                    raise
                continue
            if last or self._stat() == before:
                return value, before
        raise AssertionError

    def _fields(self, **fields: str) -> dict[str, str]:
        return {"files": ", ".join(map(str, self._paths)), **fields}

    def _stat(self) -> object:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
