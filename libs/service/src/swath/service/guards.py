"""What services ask of a session before they touch it."""

from __future__ import annotations

from swath.errors import PipelineMissing, RunActive
from swath.service.ports import Session


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
