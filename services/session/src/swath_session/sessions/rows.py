"""Sessions as rows of their table, and back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from swath.sessions.model import Profiling, Session


@dataclass(frozen=True, slots=True)
class Reading:
    """A session as it was in the table, and the database's clock then (Unix time, seconds)."""

    session: Session
    at: float

    @property
    def left_s(self) -> float:
        """Seconds until it expires."""
        session = self.session
        return math.inf if session.active_run is not None else session.last_used_at + session.ttl_s - self.at


def column_value(value: Any) -> Any:
    """Return a field of a session as its column takes it."""
    if isinstance(value, Profiling):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, tuple) else value


def session_of(row: Row[Any]) -> Session:
    """Return the session in a row."""
    return Session(
        id=row.id,
        owner=row.owner,
        revision=row.revision,
        search_paths=tuple(row.search_paths),
        pipeline_digest=row.pipeline_digest,
        weights_digest=row.weights_digest,
        run_config_digest=row.run_config_digest,
        plugins=tuple(row.plugins),
        profiling=Profiling(**row.profiling),
        active_run=row.active_run,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        ttl_s=row.ttl_s,
    )
