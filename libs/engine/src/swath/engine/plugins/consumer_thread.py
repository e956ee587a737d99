"""A thread for code that pulls batches from an iterator, fed from outside one by one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import torch

_END = object()
_ABANDONED = object()


class _Abandoned(BaseException):
    """Ends a consumer whose pass was aborted."""


class ConsumerThread:
    """Runs a consumer of batches in a thread of its own. `feed` waits while it works on a batch.

    Args:
        consume: Takes an iterator of batches. It runs without gradients.
    """

    def __init__(self, consume: Callable[[Iterator[dict[str, Any]]], object]) -> None:
        self._batches: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[BaseException | None] = SimpleQueue()
        self._ended = False
        thread = threading.Thread(
            target=_work, args=(consume, self._batches, self._answers), daemon=True, name="swath-plugin-fit"
        )
        # A pass that is never finished must not leak its thread.
        self.abandon = weakref.finalize(self, self._batches.put, _ABANDONED)
        thread.start()
        self._await()

    def feed(self, batch: dict[str, Any]) -> None:
        """Pass a batch to the consumer; return when it asks for the next one. Raises what it raised."""
        if not self._ended:
            self._batches.put(batch)
            self._await()

    def finish(self) -> None:
        """End the iterator and wait for the consumer to end. Raises what it raised."""
        while not self._ended:
            self._batches.put(_END)
            self._await()
        self.abandon.detach()

    def _await(self) -> None:
        answer = self._answers.get()
        if answer is None:
            return
        self._ended = True
        if not isinstance(answer, StopIteration):
            raise answer


def _work(consume: Callable[..., object], batches: SimpleQueue[Any], answers: SimpleQueue[Any]) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        while True:
            answers.put(None)
            batch = batches.get()
            if batch is _ABANDONED:
                raise _Abandoned
            if batch is _END:
                return
            yield batch

    try:
        with torch.no_grad():
            consume(stream())
    except _Abandoned:
        return
    except BaseException as error:  # raised by `feed` or `finish`
        answers.put(error)
    else:
        answers.put(StopIteration())
