"""Sessions as their owners use them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swath.errors import Exhausted, InvalidInput, PathDenied
from swath.sessions.model import Session, Sessions
from swath.sessions.ownership import OwnedSessions
from swath.storage.workspace.folder import Workspace

_MAX_SEARCH_PATHS = 256


class SessionService:
    """What clients may do with sessions: a caller has those that it has made, and there are no others for it.

    Args:
        sessions: All sessions.
        workspace: What search paths mean.
    """

    def __init__(self, sessions: Sessions, workspace: Workspace) -> None:
        self._sessions = OwnedSessions(sessions)
        self._workspace = workspace

    async def create(self) -> Session:
        """Make a session of the caller's; it is durable when this returns.

        Raises:
            SessionQuota: The caller has as many as one may have.
            StorageRefused: No space left for it.
        """
        return await self._sessions.create()

    async def close(self, session_id: str) -> Session:
        """Remove a session and return what it was.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        return await self._sessions.close(session_id)

    async def set_search_paths(
        self, session_id: str, paths: Sequence[str], append: bool | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Append or replace the search paths of a session.

        Args:
            session_id: The session.
            paths: Folders, as in `Workspace.search_dirs`.
            append: Whether to keep the present ones, in front. None means yes.

        Returns:
            All search paths now, absolute, in order, each once, the configs root where none is set; and those of
            `paths`, verbatim, that are no folders or lie outside the allowed ones.

        Raises:
            SessionNotFound: The caller has no such session.
            Exhausted: More paths than a session holds.
        """
        session = await self._sessions.get(session_id)
        if len(paths) > _MAX_SEARCH_PATHS:
            raise Exhausted(f"a session holds {_MAX_SEARCH_PATHS} search paths at most, not {len(paths)}")
        found, rejected = await asyncio.to_thread(self._folders, paths)
        root = self._workspace.shown(self._workspace.configs)

        def decide(current: Session) -> dict[str, Any]:
            kept = (current.search_paths or (root,)) if append is not False else ()
            wanted = tuple(dict.fromkeys((*kept, *found)))
            if len(wanted) > _MAX_SEARCH_PATHS:
                raise Exhausted(f"a session holds {_MAX_SEARCH_PATHS} search paths at most, not {len(wanted)}")
            return {} if wanted == current.search_paths else {"search_paths": wanted}

        session = await self._sessions.change(session, decide)
        return session.search_paths or (root,), rejected

    def _folders(self, paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the folders that paths mean, and those that mean none."""
        found, rejected = [], []
        for path in paths:
            try:
                dirs = self._workspace.search_dirs(path)
            except (PathDenied, InvalidInput):
                dirs = ()
            if not dirs:
                rejected.append(path)
            else:
                # What an absolute path names is kept as it was named; the shipped layer stands for both.
                real = Path(os.path.realpath(path))
                found.append(self._workspace.shown(real if real in dirs else dirs[-1]))
        return tuple(found), tuple(rejected)
