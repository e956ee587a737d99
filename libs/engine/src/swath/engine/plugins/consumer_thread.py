"""Batches that come one by one, for code that pulls them from an iterator."""

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
    """Ends a consumer whose pass was given up."""


class ConsumerThread:
    """Runs a consumer of batches in a thread of its own, which works only while a batch is handed over.

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
        # A pass that nobody ends must not leave its thread behind.
        self.abandon = weakref.finalize(self, self._batches.put, _ABANDONED)
        thread.start()
        self._await()

    def feed(self, batch: dict[str, Any]) -> None:
        """Hand a batch over; returns when the consumer asks for the next one. Raises what it raised."""
        if not self._ended:
            self._batches.put(batch)
            self._await()

    def finish(self) -> None:
        """Say that there are no more batches, and wait for the consumer to end. Raises what it raised."""
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
    except BaseException as error:  # goes to whoever feeds
        answers.put(error)
    else:
        answers.put(StopIteration())
