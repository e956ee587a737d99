"""Decoding and encoding off the device's thread. What is small is done on the event loop, and does not come here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

T = TypeVar("T")

INLINE_BYTES = 512 * 1024
"""Up to which bytes are copied on the event loop: once or twice takes as long as the way to a thread and back, 40 us
(docs/explanation/batching.md has the measurement)."""

_READERS = 1
"""Decoding makes views of what arrived; what it copies, from shared memory, it does so at the memory's speed."""
_WRITERS = 2


class Transcoder:
    """The threads that decode and encode large messages."""

    def __init__(self) -> None:
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="decode")
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="encode")

    async def read(self, work: Callable[[], T]) -> T:
        """Decode on a thread."""
        return await _run(self._readers, work)

    async def write(self, work: Callable[[], T]) -> T:
        """Encode on a thread."""
        return await _run(self._writers, work)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._writers.shutdown(wait=True, cancel_futures=True)


async def _run(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    # What a call that has left would have worked on must not stay in the queue of the threads.
    piece = [partial(copy_context().run, work)]
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, _first, piece)
    finally:
        piece.clear()


def _first(piece: list[Callable[[], T]]) -> T:
    return piece[0]()
