"""Profiling of sessions: its switches, and what was recorded at all replicas."""

from __future__ import annotations

from typing import Any

from swath.errors import InvalidInput
from swath.sessions.model import Profiling, Session, Sessions
from swath.sessions.preconditions import pipeline_of
from swath_inference.profiling.profiler import NodeTimes, NoReplicas, Profiler, Replicas, summary


class ProfilingService:
    """Profiling of sessions.

    Args:
        sessions: The sessions' authority.
        profiler: What this replica has recorded.
        replicas: The other replicas; none if not given.
    """

    def __init__(self, sessions: Sessions, profiler: Profiler, replicas: Replicas | None = None) -> None:
        self._sessions = sessions
        self._profiler = profiler
        self._replicas = replicas or NoReplicas()

    async def set_profiling(
        self, session_id: str, *, enabled: bool, synchronize: bool | None, reset: bool | None, skip_first: int | None
    ) -> bool:
        """Replace the session's profiling switches; what is None goes back to its default.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
            InvalidInput: A negative skip.
        """
        if skip_first is not None and skip_first < 0:
            raise InvalidInput(f"skip_first_n must not be negative, got {skip_first}")

        def decide(session: Session) -> dict[str, Any]:
            pipeline_of(session)
            generation = session.profiling.generation + (1 if reset else 0)
            return {
                "profiling": Profiling(
                    enabled=enabled,
                    synchronize_device=bool(synchronize),
                    skip_first=skip_first or 0,
                    generation=generation,
                )
            }

        return (await self._sessions.change(session_id, decide)).profiling.enabled

    async def profiling_summary(self, session_id: str, stage: str | None) -> list[NodeTimes]:
        """Return the recorded times of the session's nodes, of one stage or all.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        generation = session.profiling.generation
        others = await self._replicas.read(session_id, generation)
        return summary([self._profiler.read(session_id, generation), *others], stage)
