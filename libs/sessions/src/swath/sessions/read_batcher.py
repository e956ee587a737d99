"""Reads that are batched: many calls share one query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextvars import copy_context
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ReadBatcher(Generic[K, V]):
    """Answers all questions that arrive while a read is under way by one next read.

    Never by that one: it may have looked before a write that was acknowledged before the question was asked. So each
    answer is of a read that began after its question, and however many ask, two reads' time is the longest wait.

    Args:
        read: Reads many keys at once; keys that there are not are missing from the answer.
    """

    def __init__(self, read: Callable[[Collection[K]], Coroutine[Any, Any, Mapping[K, V]]]) -> None:
        self._read = read
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._context = copy_context()

    async def get(self, key: K) -> V | None:
        """Return what a read that begins after this call finds, or None."""
        answer = self._asked.get(key)
        if answer is None:
            if not self._asked:
                self._context = copy_context()
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._serve())
        # Shielded: others may wait for the same answer.
        return await asyncio.shield(answer)

    async def _serve(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    # In the context, and so the trace, of the call that asked first: that of this task may be over.
                    found = await asyncio.create_task(self._read(asked), context=self._context)
                except Exception as error:
                    for answer in asked.values():
                        answer.set_exception(error)
                        answer.exception()  # Marked as seen: the calls that asked may be gone.
                else:
                    for key, answer in asked.items():
                        answer.set_result(found.get(key))
        finally:
            self._task = None
