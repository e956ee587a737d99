"""Lines for somebody who may have stopped to read them: whoever writes one never waits."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

QUEUE_BYTES = 4 * 1024 * 1024
"""Most that waits to be written; what comes then is dropped."""

TELL_S = 1.0
"""Longest that the end of a process waits for somebody to read what it prints."""

_LONGEST_WAIT_S = 1.0


class LineWriter:
    """Writes lines to a stream from a thread of its own, which alone waits for a reader.

    Lines are dropped while too many wait, and where writing fails: the reader has gone, the disk is full. Bytes go to
    the stream's file past Python's buffers: what those hold at the exit of a process, and cannot get rid of, would
    change its exit status.

    Args:
        stream: Where lines go.
        dropped_line: Makes the line that says how many were dropped, once writing works again.
        idle: Called by the thread about once per second, and returns lines to write.
        limit: Most characters that wait.

    Attributes:
        dropped: Lines that were dropped so far.
    """

    def __init__(
        self,
        stream: TextIO,
        dropped_line: Callable[[int], str] | None = None,
        idle: Callable[[], list[str]] | None = None,
        limit: int = QUEUE_BYTES,
    ) -> None:
        self._stream = stream
        self._dropped_line = dropped_line
        self._idle = idle
        self._limit = limit
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._waiting = 0
        self._writing = False
        self._thread: threading.Thread | None = None
        self._said = 0
        self.dropped = 0

    def put(self, line: str) -> None:
        """Write a line, with its end, as soon as there is somebody to read it."""
        with self._changed:
            if self._waiting + len(line) > self._limit:
                self.dropped += 1
                return
            self._lines.append(line)
            self._waiting += len(line)
            if self._thread is None:
                # Not before: a process that is forked meanwhile would lack it.
                self._thread = threading.Thread(target=self._write, name="lines", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all lines are written, but not longer than a time; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._lines or self._writing), timeout_s)

    def _write(self) -> None:
        idled = time.monotonic()
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._lines), _LONGEST_WAIT_S if self._idle else None)
                lines = list(self._lines)
                self._lines.clear()
                self._waiting = 0
                self._writing = True
            if self._idle is not None and time.monotonic() - idled >= _LONGEST_WAIT_S:
                idled = time.monotonic()
                lines += self._idle()
            if not lines:
                continue
            if self._written("".join(lines)):
                self._say_dropped()
            else:
                with self._changed:
                    self.dropped += len(lines)

    def _say_dropped(self) -> None:
        with self._changed:
            new = self.dropped - self._said
        if new and self._dropped_line is not None and self._written(self._dropped_line(new)):
            self._said += new

    def _written(self, text: str) -> bool:
        try:
            try:
                number = self._stream.fileno()
            except OSError:  # io.UnsupportedOperation: no file behind it
                self._stream.write(text)
                self._stream.flush()
                return True
            data = text.encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(number, data) :]
        except BlockingIOError:
            # Whoever shares the file has made it non-blocking.
            return False
        except (OSError, ValueError):
            return False
        return True


class Unblocked(io.TextIOBase):
    """A stream over a `LineWriter`, for what writes to streams: no write waits.

    Args:
        stream: Where text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines = LineWriter(stream)

    def write(self, text: str) -> int:
        self._lines.put(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def end(self) -> None:
        """Give what is left some time to be read."""
        self._lines.flush(TELL_S)


@contextmanager
def unblocked() -> Iterator[None]:
    """Have nothing within a block wait for whoever reads standard output and standard error."""
    output, errors = Unblocked(sys.stdout), Unblocked(sys.stderr)
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            yield
        finally:
            output.end()
            errors.end()


def tell(line: str, stream: TextIO) -> None:
    """Write a line for people at the end of a process, whether or not somebody still reads it.

    What happens to the line changes nothing of how the process ends.
    """
    writer = LineWriter(stream)
    writer.put(f"{line}\n")
    writer.flush(TELL_S)
