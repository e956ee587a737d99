"""The streams that follow runs: what each was given, and how long a run goes on without any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self

import structlog

from swath.errors import SwathError, restore
from swath_training.api.subscribers import Subscribers
from swath_training.runs.database.store import RunStore
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.model import LoggedEvent, Run

_log = structlog.get_logger("swath.training")

_MIN_ANNOUNCE_INTERVAL_S = 0.1
_RETRY_DELAY_S = 1.0


class Streams:
    """Makes streams over the log.

    Args:
        log: Where events are.
        store: Where it is written what was delivered.
        window_s: Seconds that a run goes on without a stream, at whichever replica.
        holds: Whether this replica drives a run.
        abandoned: Called with the id of such a run when that time has passed.
    """

    def __init__(
        self,
        log: EventLog,
        store: RunStore,
        window_s: float,
        holds: Callable[[str], bool],
        abandoned: Callable[[str], Awaitable[None]],
    ) -> None:
        self.log = log
        self.store = store
        self._window_s = window_s
        self._holds = holds
        self._abandoned = abandoned
        self.subscribers = Subscribers(window_s, self._abandon, self._save, self._follow_changed)
        self._announcing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to announce to other replicas which of their runs are followed here."""
        self._announcing = asyncio.create_task(self._announce_followed())

    def open(self, run: Run, after_seq: int | None = None) -> Following:
        """Return a stream of a run's events after a number, or after the last one that any stream was given."""
        if after_seq is None:
            return Following(self, run.id, max(run.delivered_seq, self.subscribers.delivered(run.id)))
        return Following(self, run.id, min(max(after_seq, 0), run.last_seq))

    def expect(self, run: Run) -> None:
        """Give a run of an earlier process the time in which its streams may come back."""
        self.subscribers.expect(run.id, run.delivered_seq)

    async def close(self) -> None:
        """Send all streams away and finish writing what they were given."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.wait([self._announcing])
        self.log.cut()
        await self.subscribers.close()

    async def _abandon(self, run_id: str) -> None:
        try:
            await self._abandon_unless_followed(run_id)
        except SwathError as error:
            # Otherwise it would go on for ever: no stream is there that could end.
            _log.warning("a run that nobody follows could not be stopped yet", run=run_id, error=error.message)
            self.subscribers.expect(run_id, window_s=_RETRY_DELAY_S)

    async def _abandon_unless_followed(self, run_id: str) -> None:
        if not self._holds(run_id):
            return self.subscribers.dismiss(run_id)
        left = await self.store.leases.followed_for(run_id)
        if run_id in self.subscribers.followed:
            return None
        if left > 0:
            return self.subscribers.expect(run_id, window_s=left)
        self.subscribers.dismiss(run_id)
        return await self._abandoned(run_id)

    async def _save(self, run_id: str, seq: int) -> None:
        try:
            await self.store.delivered(run_id, seq)
        except SwathError as error:
            _log.warning("what a stream was given could not be written", run=run_id, error=error.message)

    async def _follow_changed(self, run_id: str) -> None:
        if not self._holds(run_id):
            await self._report_waiting([run_id])

    async def _announce_followed(self) -> None:
        while True:
            await asyncio.sleep(max(self._window_s / 3, _MIN_ANNOUNCE_INTERVAL_S))
            await self._report_waiting([run_id for run_id in self.subscribers.followed if not self._holds(run_id)])

    async def _report_waiting(self, run_ids: list[str]) -> None:
        if run_ids:
            try:
                await self.store.leases.followed(run_ids, self._window_s)
            except SwathError as error:
                _log.warning("who follows which run could not be written", error=error.message)


class Following:
    """One stream's view of a run: the run counts as followed until it is closed.

    Attributes:
        run_id: The run.
        seq: Last event that the stream was given.
    """

    def __init__(self, streams: Streams, run_id: str, after_seq: int) -> None:
        self._streams = streams
        self._open = True
        self.run_id = run_id
        self.seq = after_seq
        streams.subscribers.enter(run_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop following."""
        if self._open:
            self._open = False
            self._streams.subscribers.leave(self.run_id)

    async def events(self) -> AsyncGenerator[LoggedEvent]:
        """Yield events until the run is over.

        Raises:
            SwathError: The run failed; or the server goes away first (Unavailable).
        """
        try:
            async with aclosing(self._streams.log.follow(self.run_id, self.seq)) as events:
                async for event in events:
                    yield event
                    # The consumer came back for more: it has handed this one on.
                    self.seq = event.seq
                    self._streams.subscribers.given(self.run_id, event.seq)
            await self._deliver_end()
        finally:
            self.close()

    async def _deliver_end(self) -> None:
        """Write that everything was handed on, the end included, and raise what the run failed with."""
        await self._streams.store.delivered(self.run_id, self.seq, end=True)
        self._streams.subscribers.dismiss(self.run_id)
        run = await self._streams.store.get(self.run_id)
        if run.code:
            raise restore(run.code, run.reason, run.message, run.details)
