"""Who follows which run, what they were given, and the time that a run goes on without anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_LAG_S = 0.5


@dataclass(eq=False)
class _Subscription:
    followers: int = 0
    delivered: int = 0
    window: asyncio.TimerHandle | None = None
    saving: asyncio.TimerHandle | None = None


class Subscribers:
    """Counts followers, starts a run's window when the last one leaves, and writes down what was delivered.

    What is written lags behind what was given, never the other way round: after a crash of the server a follower may
    see events twice, and misses none.

    Args:
        window_s: Seconds that a run goes on without a follower.
        abandoned: Called with a run's id when its window has passed.
        save: Writes down the last sequence number that a run's followers were given.
        follow_changed: Called with a run's id when a follower comes or goes.
    """

    def __init__(
        self,
        window_s: float,
        abandoned: Callable[[str], Awaitable[object]],
        save: Callable[[str, int], Awaitable[None]],
        follow_changed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._window_s = window_s
        self._abandoned = abandoned
        self._save = save
        self._follow_changed = follow_changed
        self._subscriptions: dict[str, _Subscription] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def followed(self) -> list[str]:
        """Ids of the runs that somebody follows here."""
        return [run_id for run_id, subscription in self._subscriptions.items() if subscription.followers]

    def expect(self, run_id: str, delivered: int = 0, window_s: float | None = None) -> None:
        """Give a run that nobody follows yet its window, or another one in seconds."""
        subscription = self._subscriptions.setdefault(run_id, _Subscription())
        subscription.delivered = max(subscription.delivered, delivered)
        if not subscription.followers and subscription.window is None:
            loop = asyncio.get_running_loop()
            window_s = self._window_s if window_s is None else window_s
            subscription.window = loop.call_later(window_s, self._close_window, run_id, subscription)

    def enter(self, run_id: str) -> None:
        """Count a follower in."""
        subscription = self._subscriptions.setdefault(run_id, _Subscription())
        subscription.followers += 1
        if subscription.window is not None:
            subscription.window.cancel()
            subscription.window = None
        self._spawn(self._follow_changed(run_id))

    def leave(self, run_id: str) -> None:
        """Count a follower out."""
        subscription = self._subscriptions.get(run_id)
        if subscription is not None:
            subscription.followers -= 1
            self.expect(run_id)
            self._spawn(self._follow_changed(run_id))

    def given(self, run_id: str, seq: int) -> None:
        """Note that a follower was given the event of this number."""
        subscription = self._subscriptions.get(run_id)
        if subscription is None or seq <= subscription.delivered:
            return
        subscription.delivered = seq
        if subscription.saving is None:
            subscription.saving = asyncio.get_running_loop().call_later(_LAG_S, self._flush, run_id, subscription)

    def delivered(self, run_id: str) -> int:
        """Return the last sequence number that any follower was given, 0 for none."""
        subscription = self._subscriptions.get(run_id)
        return subscription.delivered if subscription else 0

    def dismiss(self, run_id: str) -> None:
        """Forget a run that is over."""
        subscription = self._subscriptions.pop(run_id, None)
        if subscription is not None and subscription.window is not None:
            subscription.window.cancel()
        if subscription is not None and subscription.saving is not None:
            subscription.saving.cancel()
            self._flush(run_id, subscription)

    async def close(self) -> None:
        """Forget all runs and finish writing."""
        for run_id in list(self._subscriptions):
            self.dismiss(run_id)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _close_window(self, run_id: str, subscription: _Subscription) -> None:
        subscription.window = None
        self._spawn(self._abandoned(run_id))

    def _flush(self, run_id: str, subscription: _Subscription) -> None:
        subscription.saving = None
        self._spawn(self._save(run_id, subscription.delivered))

    def _spawn(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
