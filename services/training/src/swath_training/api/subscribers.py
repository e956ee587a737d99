"""Who follows which run, what they were given, and the time that a run goes on without anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_LAG_S = 0.5


@dataclass(eq=False)
class _Attention:
    followers: int = 0
    delivered: int = 0
    window: asyncio.TimerHandle | None = None
    saving: asyncio.TimerHandle | None = None


class Audience:
    """Counts followers, starts a run's window when the last one leaves, and writes down what was delivered.

    What is written lags behind what was given, never the other way round: after a crash of the server a follower may
    see events twice, and misses none.

    Args:
        window_s: Seconds that a run goes on without a follower.
        abandoned: Called with a run's id when its window has passed.
        save: Writes down the last sequence number that a run's followers were given.
        noticed: Called with a run's id when a follower comes or goes.
    """

    def __init__(
        self,
        window_s: float,
        abandoned: Callable[[str], Awaitable[object]],
        save: Callable[[str, int], Awaitable[None]],
        noticed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._window_s = window_s
        self._abandoned = abandoned
        self._save = save
        self._noticed = noticed
        self._attention: dict[str, _Attention] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def followed(self) -> list[str]:
        """Ids of the runs that somebody follows here."""
        return [run_id for run_id, attention in self._attention.items() if attention.followers]

    def expect(self, run_id: str, delivered: int = 0, window_s: float | None = None) -> None:
        """Give a run that nobody follows yet its window, or another one in seconds."""
        attention = self._attention.setdefault(run_id, _Attention())
        attention.delivered = max(attention.delivered, delivered)
        if not attention.followers and attention.window is None:
            loop = asyncio.get_running_loop()
            window_s = self._window_s if window_s is None else window_s
            attention.window = loop.call_later(window_s, self._close_window, run_id, attention)

    def enter(self, run_id: str) -> None:
        """Count a follower in."""
        attention = self._attention.setdefault(run_id, _Attention())
        attention.followers += 1
        if attention.window is not None:
            attention.window.cancel()
            attention.window = None
        self._spawn(self._noticed(run_id))

    def leave(self, run_id: str) -> None:
        """Count a follower out."""
        attention = self._attention.get(run_id)
        if attention is not None:
            attention.followers -= 1
            self.expect(run_id)
            self._spawn(self._noticed(run_id))

    def given(self, run_id: str, seq: int) -> None:
        """Note that a follower was given the event of this number."""
        attention = self._attention.get(run_id)
        if attention is None or seq <= attention.delivered:
            return
        attention.delivered = seq
        if attention.saving is None:
            attention.saving = asyncio.get_running_loop().call_later(_LAG_S, self._flush, run_id, attention)

    def delivered(self, run_id: str) -> int:
        """Return the last sequence number that any follower was given, 0 for none."""
        attention = self._attention.get(run_id)
        return attention.delivered if attention else 0

    def dismiss(self, run_id: str) -> None:
        """Forget a run that is over."""
        attention = self._attention.pop(run_id, None)
        if attention is not None and attention.window is not None:
            attention.window.cancel()
        if attention is not None and attention.saving is not None:
            attention.saving.cancel()
            self._flush(run_id, attention)

    async def close(self) -> None:
        """Forget all runs and finish writing."""
        for run_id in list(self._attention):
            self.dismiss(run_id)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _close_window(self, run_id: str, attention: _Attention) -> None:
        attention.window = None
        self._spawn(self._abandoned(run_id))

    def _flush(self, run_id: str, attention: _Attention) -> None:
        attention.saving = None
        self._spawn(self._save(run_id, attention.delivered))

    def _spawn(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
