"""Sessions as their owners use them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
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
        root = self._workspace.shown(self._workspace.paths.given_configs)

        def decide(current: Session) -> dict[str, Any]:
            kept = (current.search_paths or (root,)) if append is not False else ()
            by_place: dict[str, str] = {}
            for name in (*kept, *found):
                by_place.setdefault(self._real(name), name)
            wanted = tuple(by_place.values())
            if len(wanted) > _MAX_SEARCH_PATHS:
                raise Exhausted(f"a session holds {_MAX_SEARCH_PATHS} search paths at most, not {len(wanted)}")
            return {} if wanted == current.search_paths else {"search_paths": wanted}

        session = await self._sessions.change(session, decide)
        return tuple(self._real(name) for name in session.search_paths or (root,)), rejected

    def _real(self, name: str) -> str:
        """Return the real path of a search path as it is now; as it is, where paths have public names."""
        return name if self._workspace.paths.public is not None else os.path.realpath(name)

    def _folders(self, paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the folders that paths mean, and those that mean none."""
        found, rejected = [], []
        for path in paths:
            try:
                name = self._workspace.search_name(path)
            except (PathDenied, InvalidInput):
                name = None
            if name is None:
                rejected.append(path)
            else:
                found.append(name)
        return tuple(found), tuple(rejected)
