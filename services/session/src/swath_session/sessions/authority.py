"""Sessions: the authority that every other service asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import structlog

from swath.errors import RevisionConflict
from swath.rpc.shielded import shielded
from swath.sessions.model import Session
from swath.sessions.preconditions import compare_and_set, no_session
from swath.sessions.read_batcher import ReadBatcher
from swath_session.sessions.store import Reading, SessionStore
from swath_session.settings import SessionSettings

_log = structlog.get_logger()

_TOUCH_INTERVAL_S = 60.0
_SWEEP_AT_ONCE = 200


class SessionAuthority:
    """Creates, reads, changes, expires and closes sessions of all owners. Fulfils `swath.sessions.model.Sessions`.

    Args:
        store: The tables.
        settings: Times and quotas.

    Attributes:
        open: Sessions that there were at the last sweep.
    """

    def __init__(self, store: SessionStore, settings: SessionSettings) -> None:
        self._store = store
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
        """Stop sweeping, let closes under way end, and close the store. Sessions stay."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None
        if self._closing:
            await asyncio.wait(self._closing)
        await self._store.close()

    def on_close(self, listener: Callable[[str], Awaitable[None]], in_use: Callable[[], Iterable[str]]) -> None:
        """Have `listener` called with a session's id after it was closed or has expired; listeners are called in turn.

        Args:
            listener: Called once per session.
            in_use: Not asked: nothing is missed within one process.
        """
        self._listeners.append(listener)

    async def create(self, owner: str = "") -> Session:
        """Make a session; it is durable when this returns.

        Raises:
            SessionQuota: The owner has as many as one may have.
            StorageRefused: No space left for it.
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
            StorageRefused: No space left; nothing was written.
        """
        written, present = await self._store.write(session_id, revision, changes)
        if written is not None:
            return written
        if not present:
            raise no_session(session_id)
        raise RevisionConflict(f"Session {session_id} was changed by another call meanwhile; repeat the request")

    async def change(self, session: Session | str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Decide, compare and set; see `compare_and_set`."""
        return await compare_and_set(self, session, decide)

    async def close(self, session_id: str) -> Session:
        """Remove a session, call the listeners of `on_close`, return what it was.

        Once it is removed, the listeners are called even if the caller has left.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        # Shielded from here on: a call that is cancelled between the removal and the listeners would leak a model.
        closing = asyncio.create_task(self._close(session_id))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return await shielded(closing)

    async def sweep(self) -> int:
        """Remove all expired sessions, call the listeners, return how many there were."""
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
