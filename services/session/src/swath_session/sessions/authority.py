"""Sessions: the authority that every other service asks."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog

from swath.errors import Exhausted, InvalidInput, PathDenied, RevisionConflict
from swath.sessions.model import Session
from swath.sessions.preconditions import compare_and_set, no_session
from swath.sessions.read_batcher import ReadBatcher
from swath.storage.workspace.folder import Workspace
from swath_session.sessions.store import Reading, SessionStore
from swath_session.settings import SessionSettings

_log = structlog.get_logger()

_MAX_SEARCH_PATHS = 256
_TOUCH_INTERVAL_S = 60.0
_SWEEP_AT_ONCE = 200


class SessionService:
    """Creates, reads, guards, expires and closes sessions. Fulfils `swath.sessions.model.Sessions`.

    Args:
        store: The tables.
        workspace: What search paths mean.
        settings: Times.

    Attributes:
        open: Sessions that there were at the last sweep.
    """

    def __init__(self, store: SessionStore, workspace: Workspace, settings: SessionSettings) -> None:
        self._store = store
        self._workspace = workspace
        self._settings = settings
        self._reads = ReadBatcher(store.read)
        self._listeners: list[Callable[[str], Awaitable[None]]] = []
        self._touching: set[str] = set()
        self._closing: set[asyncio.Task[Session]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.open = 0

    async def start(self) -> None:
        """Open the store and begin to remove expired sessions."""
        await self._store.open()
        self._sweeper = asyncio.create_task(self._keep_sweeping())

    async def stop(self) -> None:
        """Stop sweeping, let closes under way end, and let go of the store. Sessions stay."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None
        if self._closing:
            await asyncio.wait(self._closing)
        await self._store.close()

    def on_close(self, listener: Callable[[str], Awaitable[None]], held: Callable[[], Iterable[str]]) -> None:
        """Have `listener` called with a session's id after it was closed or has expired; listeners are called in turn.

        Args:
            listener: Called once a session.
            held: Not asked: nothing goes unheard within one process.
        """
        self._listeners.append(listener)

    async def create(self, owner: str = "") -> Session:
        """Make a session; it is durable when this returns.

        Raises:
            SessionQuota: The owner has as many as one may have.
            StorageRefused: No room for it.
        """
        settings = self._settings
        return await self._store.add(str(uuid.uuid4()), owner, settings.session_ttl_s, settings.quota_sessions)

    async def get(self, session_id: str) -> Session:
        """Return the session as of a read that began after this call did, and count the call as a use.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        reading = await self._reads.get(session_id)
        if reading is None:
            raise no_session(session_id)
        await self._count_use(reading)
        return reading.session

    async def read(self, session_ids: Collection[str], *, use: bool) -> list[Session]:
        """Return those of some sessions that there are.

        Args:
            session_ids: The sessions.
            use: Whether to count this as a use of each.
        """
        readings = (await self._store.read(session_ids)).values()
        for reading in readings if use else ():
            await self._count_use(reading)
        return [reading.session for reading in readings]

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        """Write fields of a session if its revision is still the given one; counts as a use.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
            RevisionConflict: Somebody wrote first.
            StorageRefused: No room; nothing was written.
        """
        written, present = await self._store.write(session_id, revision, changes)
        if written is not None:
            return written
        if not present:
            raise no_session(session_id)
        raise RevisionConflict(f"Session {session_id} was changed by another call meanwhile; repeat the request")

    async def change(self, session_id: str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Read, decide, compare and set, again until nobody came between; see `compare_and_set`."""
        return await compare_and_set(self, session_id, decide)

    async def close(self, session_id: str) -> Session:
        """Remove a session, tell those who registered with `on_close`, return what it was.

        Once removed, the listeners are told even if whoever called has left.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        # Shielded from here on: a call that is cancelled between the removal and the telling would leak a model.
        closing = asyncio.create_task(self._close(session_id))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return await asyncio.shield(closing)

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
            SessionNotFound: No such session.
            Exhausted: More paths than a session holds.
        """
        if len(paths) > _MAX_SEARCH_PATHS:
            raise Exhausted(f"a session holds {_MAX_SEARCH_PATHS} search paths at most, not {len(paths)}")
        found, rejected = await asyncio.to_thread(self._sort_out, paths)
        root = self._workspace.shown(self._workspace.configs)

        def decide(session: Session) -> dict[str, Any]:
            kept = (session.search_paths or (root,)) if append is not False else ()
            wanted = tuple(dict.fromkeys((*kept, *found)))
            if len(wanted) > _MAX_SEARCH_PATHS:
                raise Exhausted(f"a session holds {_MAX_SEARCH_PATHS} search paths at most, not {len(wanted)}")
            return {} if wanted == session.search_paths else {"search_paths": wanted}

        session = await self.change(session_id, decide)
        return session.search_paths or (root,), rejected

    async def sweep(self) -> int:
        """Remove all expired sessions, tell the listeners, return how many there were."""
        removed = 0
        while expired := await self._store.remove_expired(_SWEEP_AT_ONCE):
            for session in expired:
                await self._notify_listeners(session.id)
            removed += len(expired)
        if removed:
            _log.info("sessions expired", count=removed)
        return removed

    async def _count_use(self, reading: Reading) -> None:
        session = reading.session
        every = min(_TOUCH_INTERVAL_S, session.ttl_s / 4)
        if reading.at - session.last_used_at < every or session.id in self._touching:
            return
        self._touching.add(session.id)
        try:
            await self._store.touch(session.id, reading.at)
        except Exception as error:
            # A full disk must not keep anybody from reading.
            _log.warning("last use not written", session=session.id, error=str(error))
        finally:
            self._touching.discard(session.id)

    def _sort_out(self, paths: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
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

    async def _close(self, session_id: str) -> Session:
        session = await self._store.remove(session_id)
        if session is None:
            raise no_session(session_id)
        await self._notify_listeners(session.id)
        return session

    async def _notify_listeners(self, session_id: str) -> None:
        for listener in self._listeners:
            try:
                await listener(session_id)
            except Exception:
                _log.exception("a listener failed after a session was closed", session=session_id)

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
                self.open = await self._store.count()
            except Exception:
                _log.exception("expired sessions could not be removed; trying again")
            await asyncio.sleep(self._settings.session_sweep_s)
