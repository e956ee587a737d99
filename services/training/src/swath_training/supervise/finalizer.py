"""How runs end: the session gets the run's result, then the log gets its last event."""

from __future__ import annotations

from typing import Any

import structlog

from swath.errors import SessionNotFound, SwathError
from swath.sessions.model import Session, Sessions
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import Event, EventCodec
from swath_training.runs.logs.event_log import EventLog
from swath_training.runs.model import Run, RunState, StopCause

CANCELLED_TEXT = "Training cancelled; the pipeline holds the state of the last completed step"

_log = structlog.get_logger("swath.training")


class Finalizer:
    """Ends runs. Every step can be done again by another process if this one dies in between.

    Args:
        store: Runs.
        log: Their event logs.
        sessions: The authority over sessions.
        codec: Reads events of workers, and makes those of the service.
    """

    def __init__(self, store: RunStore, log: EventLog, sessions: Sessions, codec: EventCodec) -> None:
        self._store = store
        self._log = log
        self._sessions = sessions
        self._codec = codec

    async def cancel(self, run: Run) -> None:
        """End a stopped run that has no worker to report its end."""
        await self.finish(await self._store.give_up(run.id, stop=run.stop or StopCause.SESSION_CLOSED))

    async def fail(self, run: Run, error: SwathError) -> None:
        """End a run with an error."""
        facts = {"code": error.code, "reason": error.reason, "message": error.message, "details": error.metadata}
        await self.finish(await self._store.give_up(run.id, **facts))

    async def finish(self, run: Run) -> None:
        """End a run whose end is on disk.

        The session comes first: a client that sees the last event finds the weights in place and the session free.
        """
        await self._settle(run)
        if run.code:
            await self._log.end(run.id, RunState.FAILED)
        elif run.stop is not None:
            final = self._final(run) or self._codec.note("CANCELLED", CANCELLED_TEXT)
            await self._log.end(run.id, RunState.CANCELLED, final)
        else:
            await self._log.end(run.id, RunState.COMPLETE, self._final(run))

    def _final(self, run: Run) -> Event | None:
        if not (run.final or run.final_response):
            return None
        return self._codec.complete(Event(0, run.final or b"", run.final_response or b""))

    async def _settle(self, run: Run) -> None:
        def decide(session: Session) -> dict[str, Any]:
            if session.active_run != run.id:
                return {}
            changes: dict[str, Any] = {"active_run": None}
            if run.result_weights and run.result_pipeline and session.pipeline_digest == run.pipeline_digest:
                changes |= {"pipeline_digest": run.result_pipeline, "weights_digest": run.result_weights}
            return changes

        try:
            await self._sessions.change(run.session_id, decide)
        except SessionNotFound:
            _log.info("the session of a run is gone", run=run.id, session=run.session_id)
