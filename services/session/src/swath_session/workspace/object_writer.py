"""An object of a bucket that is written while its bytes arrive. All of this blocks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress

from swath.errors import Stopped
from swath.storage.s3.bucket import Bucket

_MAX_QUEUED = 4
"""Chunks that may wait to be sent."""


class ObjectWriter:
    """Writes one object in a thread of its own, as its bytes come.

    Args:
        bucket: Where it goes.
        key: Its key.
        attributes: Its attributes.
        size: Its size, or the largest that it may have.
    """

    def __init__(self, bucket: Bucket, key: str, attributes: dict[str, str], size: int) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_MAX_QUEUED)
        self._cancelled = False
        self._error: Exception | None = None
        self._ended = threading.Event()
        arguments = (bucket, key, attributes, size)
        threading.Thread(target=self._run, args=arguments, name="swath-upload", daemon=True).start()

    def push(self, chunk: bytes | None) -> None:
        """Queue the next bytes, None for the end; waits while the queue is full."""
        while True:
            if self._ended.is_set() and self._error is not None:
                raise self._error
            with suppress(queue.Full):
                self._chunks.put(chunk, timeout=0.2)
                return

    def finish(self) -> None:
        """Have the object appear."""
        self.push(None)
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Have no object appear. Does not wait: the server may be frozen."""
        self._cancelled = True
        with suppress(queue.Full):
            self._chunks.put_nowait(None)

    def _run(self, bucket: Bucket, key: str, attributes: dict[str, str], size: int) -> None:
        try:
            bucket.put_stream(key, self._queued(), attributes, size=size)
        except Exception as error:
            self._error = error
        finally:
            self._ended.set()

    def _queued(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None and not self._cancelled:
            yield chunk
        if self._cancelled:
            raise Stopped("the upload was given up")
