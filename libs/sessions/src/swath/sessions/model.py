"""A session, and the port by which services read and change sessions.

Standalone fills the port with the session service itself, a suite with a gRPC client. Nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Profiling:
    """Profiling switches of a session, as SetProfiling sets them.

    Attributes:
        enabled: Whether forward times of nodes are recorded.
        synchronize_device: Whether the device is synchronised around each node, so that times are of the work itself.
        skip_first: Calls of each node that are left out of the statistics.
        generation: Grows with each reset; statistics of an older generation are dropped.
    """

    enabled: bool = False
    synchronize_device: bool = False
    skip_first: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """One session: a small row that points at immutable artifacts by digest.

    Attributes:
        id: UUID text.
        owner: Identity that created it; empty where no identity is asked for.
        revision: Grows by one with each write; writers compare and set on it.
        search_paths: Directories that ResolveConfig and weights paths are tried under, in order; empty means the
            configs root.
        pipeline_digest: Artifact with the canonical JSON of its pipeline document, if one is loaded.
        weights_digest: Artifact with the weights of that pipeline, if any were loaded or trained.
        run_config_digest: Artifact with the canonical JSON of its trainrun document, if one is set.
        plugins: Plugin manifests registered in the session, as canonical JSON.
        profiling: Profiling switches.
        active_run: Id of the run that holds the session's training lease, if any.
        created_at: Unix time, seconds.
        last_used_at: Unix time of the last use, seconds; written at most once per minute.
        ttl_s: Seconds without use after which it expires, unless a run is active.
    """

    id: str
    owner: str
    revision: int
    search_paths: tuple[str, ...]
    pipeline_digest: str | None
    weights_digest: str | None
    run_config_digest: str | None
    plugins: tuple[str, ...]
    profiling: Profiling = field(default_factory=Profiling)
    active_run: str | None = None
    created_at: float = 0.0
    last_used_at: float = 0.0
    ttl_s: float = 3600.0


class Sessions(Protocol):
    """Reads and guarded writes of sessions."""

    async def create(self, owner: str = "") -> Session:
        """Make a session and return it."""
        ...

    async def get(self, session_id: str) -> Session:
        """Return the session as of a read that began after this call did.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        ...

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        """Write fields of a session if its revision is still the given one.

        Raises:
            SessionNotFound: No such session.
            RevisionConflict: Somebody wrote first.
        """
        ...

    async def change(self, session: Session | str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Decide, compare and set; where somebody wrote first, read and try again.

        Args:
            session: The session as the caller has read it, or the id of one that is still to be read.
            decide: Given the session as it is, returns the fields to write; may raise to refuse. Called once per try.

        Raises:
            SessionNotFound: No such session.
        """
        ...

    async def close(self, session_id: str) -> Session:
        """Remove a session, call those who registered with `on_close`, return what it was.

        Raises:
            SessionNotFound: No such session.
        """
        ...

    def on_close(self, listener: Callable[[str], Awaitable[None]], in_use: Callable[[], Iterable[str]]) -> None:
        """Have `listener` called with the id of a session after it was closed or has expired.

        Args:
            listener: May be called more than once for a session.
            in_use: Gives the ids of sessions that the listener still has something of, to find those whose end was
                missed.
        """
        ...
