"""How runs end: the session gets what the run brought, then the log gets its last event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from swath.errors import SessionNotFound, SwathError
from swath.sessions.model import Session, Sessions
from swath_training.runs.event_log import EventLog
from swath_training.runs.model import Run, RunState, StopCause
from swath_training.runs.store import RunStore

CANCELLED_TEXT = "Training cancelled; the pipeline holds the state of the last completed step"

_log = structlog.get_logger("swath.training")


class Finalizer:
    """Ends runs. Every step can be done again by another process if this one dies in between.

    Args:
        store: Runs.
        log: Their event logs.
        sessions: The authority over sessions.
        note: Makes a serialized TrainResponse of a status name and a text.
    """

    def __init__(self, store: RunStore, log: EventLog, sessions: Sessions, note: Callable[[str, str], bytes]) -> None:
        self._store = store
        self._log = log
        self._sessions = sessions
        self._note = note

    async def cancel(self, run: Run) -> None:
        """End a stopped run that has no worker to say so."""
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
            await self._log.end(run.id, RunState.CANCELLED, run.final or self._note("CANCELLED", CANCELLED_TEXT))
        else:
            await self._log.end(run.id, RunState.COMPLETE, run.final)

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
