"""The streams that follow runs: what each was given, and how long a run goes on with none."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self

from swath.errors import restore
from swath_training.audience import Audience
from swath_training.log import EventLog
from swath_training.runs import Entry, Run
from swath_training.store import RunStore


class Streams:
    """Makes streams over the log.

    Args:
        log: Where events are.
        store: Where it is written down what was delivered.
        window_s: Seconds that a run goes on without a stream.
        abandoned: Called with a run's id when that time has passed.
    """

    def __init__(
        self, log: EventLog, store: RunStore, window_s: float, abandoned: Callable[[str], Awaitable[None]]
    ) -> None:
        self.log = log
        self.store = store
        self._abandoned = abandoned
        self.audience = Audience(window_s, self._abandon, store.delivered)

    def open(self, run: Run, after_seq: int | None = None) -> Following:
        """Return a stream of a run's events after a number, or after the last one that any stream was given."""
        if after_seq is None:
            return Following(self, run.id, max(run.delivered_seq, self.audience.delivered(run.id)))
        return Following(self, run.id, min(max(after_seq, 0), run.last_seq))

    def expect(self, run: Run) -> None:
        """Give a run of an earlier process the time in which its streams may come back."""
        self.audience.expect(run.id, run.delivered_seq)

    async def close(self) -> None:
        """Send all streams away and finish writing down what they were given."""
        self.log.cut()
        await self.audience.close()

    async def _abandon(self, run_id: str) -> None:
        self.audience.dismiss(run_id)
        await self._abandoned(run_id)


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
        streams.audience.enter(run_id)

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
            self._streams.audience.leave(self.run_id)

    async def events(self) -> AsyncGenerator[Entry]:
        """Yield events until the run is over.

        Raises:
            SwathError: The run failed; or the server goes away first (Unavailable).
        """
        try:
            async with aclosing(self._streams.log.follow(self.run_id, self.seq)) as entries:
                async for entry in entries:
                    yield entry
                    # The consumer came back for more: it has handed this one on.
                    self.seq = entry.seq
                    self._streams.audience.given(self.run_id, entry.seq)
            await self._see_off()
        finally:
            self.close()

    async def _see_off(self) -> None:
        """Note that everything was handed on, the end included, and raise what the run failed with."""
        await self._streams.store.delivered(self.run_id, self.seq, end=True)
        self._streams.audience.dismiss(self.run_id)
        run = await self._streams.store.get(self.run_id)
        if run.code:
            raise restore(run.code, run.reason, run.message, run.details)
