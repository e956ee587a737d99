"""Snapshots on their way to the artifact store, while the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CheckpointWriter:
    """Writes snapshots from a thread of its own: a run with short epochs does not wait for the disk after each.

    Of snapshots that come faster than the disk takes them only the newest is kept.

    Args:
        keep: Stores a snapshot, given it and the number of events before it. What it raises is raised by the next
            `save` or `flush`.
    """

    def __init__(self, keep: Callable[[bytes, int], None]) -> None:
        self._keep = keep
        self._changed = threading.Condition()
        self._next: tuple[bytes, int] | None = None
        self._busy = False
        self._error: Exception | None = None
        threading.Thread(target=self._work, name="checkpoint-writer", daemon=True).start()

    def save(self, snapshot: bytes, events: int) -> None:
        """Take a snapshot (the engine's `Checkpointer`)."""
        with self._changed:
            self._raise()
            self._next = (snapshot, events)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until the last snapshot is stored."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or (self._next is None and not self._busy))
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None)
                assert self._next is not None
                (snapshot, events), self._next, self._busy = self._next, None, True
            try:
                self._keep(snapshot, events)
            except Exception as error:
                self._error = error
            with self._changed:
                self._busy = False
                self._changed.notify_all()
