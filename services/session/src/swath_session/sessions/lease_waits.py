"""How writers wait for the leases of a session."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from contextvars import Context
from typing import TypeVar

from swath.sessions.row_memory import clock
from swath.storage.sql.notifications import Notifications
from swath_session.sessions.leases import RETURNED, Recall

T = TypeVar("T")

# How much faster than the holder's clock, and how much later than it, the writer's may go.
_RATE = 1.05
_MARGIN_S = 0.05


class LeaseWaits:
    """Repeats writes until no lease is in their way: when one was given back, at whichever replica, or at their end.

    Args:
        notifications: Begins to receive notifications of the session service's database.
        clock: Returns seconds; must not be set back.

    Attributes:
        waited: Writes that had to wait so far.
        seconds: For how long they did, together.
    """

    def __init__(self, notifications: Callable[[], Notifications], clock: Callable[[], float] = clock) -> None:
        self._open = notifications
        self._clock = clock
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._notifications: Notifications | None = None
        self._listener: asyncio.Task[None] | None = None
        self.waited = 0
        self.seconds = 0.0

    async def stop(self) -> None:
        """Listen no more; who still waits does so for the leases' end."""
        if self._notifications is not None and self._listener is not None:
            await self._notifications.close()
            await self._listener

    async def write(self, session_id: str, attempt: Callable[[Recall | None, bool], Awaitable[T | Recall]]) -> T:
        """Write, as soon as no lease is in the way, and return what comes of it.

        Args:
            session_id: What is written.
            attempt: Writes if it may. Called with the recall that it returned before, and whether its leases were
                waited out.
        """
        returned = asyncio.Event()
        self._waiting[session_id].add(returned)
        began = self._clock()
        try:
            outcome = await attempt(None, False)
            if not isinstance(outcome, Recall):
                return outcome
            self._listen()
            token, end = "", 0.0
            while isinstance(outcome, Recall):
                if outcome.token != token:
                    # From now, when the recall is committed: no lease was given since.
                    token, end = outcome.token, self._clock() + outcome.seconds * _RATE + _MARGIN_S
                with suppress(TimeoutError):
                    await asyncio.wait_for(returned.wait(), max(end - self._clock(), 0.0))
                returned.clear()
                outcome = await attempt(outcome, self._clock() >= end)
            self.waited += 1
            self.seconds += self._clock() - began
            return outcome
        finally:
            self._waiting[session_id].discard(returned)
            if not self._waiting[session_id]:
                del self._waiting[session_id]

    def _listen(self) -> None:
        if self._listener is None:
            self._notifications = self._open()
            self._listener = asyncio.create_task(self._wake(self._notifications), context=Context())

    async def _wake(self, notifications: Notifications) -> None:
        async with aclosing(notifications.subscribe(RETURNED)) as returned:
            async for session_id in returned:
                # None: some may have been missed.
                keys = list(self._waiting) if session_id is None else [session_id]
                for key in keys:
                    for event in self._waiting.get(key, ()):
                        event.set()
