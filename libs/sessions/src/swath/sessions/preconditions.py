"""What services require of a session before they change it, and how they change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swath.errors import PipelineMissing, RevisionConflict, RunActive, SessionNotFound
from swath.sessions.model import Session, Sessions


def pipeline_of(session: Session) -> str:
    """Return the digest of a session's pipeline.

    Raises:
        PipelineMissing: It has none.
    """
    if session.pipeline_digest is None:
        raise PipelineMissing(
            "No child runtime is attached to this session. Call LoadPipeline or RestoreTrainRun first.",
            metadata={"session": session.id},
        )
    return session.pipeline_digest


def require_idle(session: Session, call: str) -> None:
    """Refuse what would change the pipeline under a run.

    Raises:
        RunActive: A run is active.
    """
    if session.active_run is not None:
        raise RunActive(
            f"{call} is refused while run {session.active_run} of this session is active: "
            "wait for its end or call StopTrain",
            metadata={"session": session.id, "run": session.active_run},
        )


def no_session(session_id: str) -> SessionNotFound:
    """Return the error for a session that there is not, or not for the caller."""
    shown = session_id if len(session_id) <= 64 else f"{session_id[:64]}…"
    return SessionNotFound(f"Session {shown} not found: it was closed, has expired, or never was")


async def compare_and_set(
    sessions: Sessions, session: Session | str, decide: Callable[[Session], dict[str, Any]]
) -> Session:
    """Decide what to write, compare and set, read and try again while somebody writes first; return the session then.

    Args:
        sessions: Where it is.
        session: The row in hand, which is not read again before the first try; or the id of one to read.
        decide: Given the session as it is, returns the fields to write; may raise to refuse. Nothing is written where
            it returns nothing. Called once per try: also after a write of its own whose answer was lost.

    Raises:
        SessionNotFound: No such session, or it has expired or was closed.
    """
    current = await sessions.get(session) if isinstance(session, str) else session
    while True:
        changes = decide(current)
        if not changes:
            return current
        try:
            return await sessions.update(current.id, current.revision, **changes)
        except RevisionConflict:
            current = await sessions.get(current.id)
