"""Sessions: the authority that every other service asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from swath.errors import RevisionConflict
from swath.rpc.shielded import shielded
from swath.sessions.model import Session
from swath.sessions.preconditions import compare_and_set, no_session
from swath.sessions.read_batcher import ReadBatcher
from swath.sessions.row_memory import RowMemory
from swath.storage.sql.notifications import Notifications
from swath_session.sessions.lease_waits import LeaseWaits
from swath_session.sessions.rows import Reading
from swath_session.sessions.store import SessionStore
from swath_session.settings import SessionSettings

_log = structlog.get_logger()

_TOUCH_INTERVAL_S = 60.0
_SWEEP_AT_ONCE = 200


class SessionAuthority:
    """Creates, reads, changes, expires and closes sessions of all owners. Fulfils `swath.sessions.model.Sessions`.

    Args:
        store: The tables.
        settings: Times and quotas.
        alone: Whether nobody else writes the tables: sessions are then answered from memory until somebody writes here.

    Attributes:
        open: Sessions that there were at the last sweep.
        memory: What is answered without a look at the tables.
        waits: How writers wait for leases that were given to other processes.
    """

    def __init__(self, store: SessionStore, settings: SessionSettings, *, alone: bool = False) -> None:
        self._store = store
        self._settings = settings
        self._alone = alone
        self.memory = RowMemory()
        self.waits = LeaseWaits(lambda: Notifications(store.engine))
        self._reads = ReadBatcher(self._read)
        self._listeners: list[Callable[[str], Awaitable[None]]] = []
        self._touching: set[str] = set()
        self._writing: set[asyncio.Task[Session]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.open = 0

    async def start(self) -> None:
        """Open the store and begin to remove expired sessions."""
        await self._store.open()
        self._sweeper = asyncio.create_task(self._keep_sweeping())

    async def stop(self) -> None:
        """Stop sweeping, let writes under way end, and close the store. Sessions stay."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None
        if self._writing:
            await asyncio.wait(self._writing)
        await self.waits.stop()
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
        """Return the session with every write that was acknowledged before this call, and count the call as a use.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        if (session := self.memory.find(session_id)) is not None:
            return session
        reading = await self._reads.get(session_id)
        if reading is None:
            raise no_session(session_id)
        await self._count_use(reading)
        return reading.session

    async def read(
        self, session_ids: Collection[str], *, use: bool, holder: str = ""
    ) -> tuple[list[Session], dict[str, float]]:
        """Return those of some sessions that there are, and for how long a holder may answer with them from memory.

        Args:
            session_ids: The sessions.
            use: Whether to count this as a use of each.
            holder: Who is to get leases; nobody if it is empty.

        Returns:
            The sessions, and the seconds from before the holder asked for those that a lease was given of.
        """
        seconds = self._settings.session_lease_s
        leases: dict[str, float] = {}
        if holder and seconds:
            found, leases = await self._store.lease(session_ids, holder, seconds)
        else:
            found = await self._store.read(session_ids)
        readings = found.values()
        if use:
            # At once, so that they share a commit: a lease must not be over before it is known of.
            await asyncio.gather(*map(self._count_use, readings))
        return [reading.session for reading in readings], leases

    async def give_back(self, holder: str, recalls: Sequence[tuple[str, str]]) -> None:
        """Take note that a holder answers no more with the rows of some recalls, each a session and a token.

        Args:
            holder: Who had the leases.
            recalls: What it has dropped; none: everything, for good.
        """
        await self._store.give_back(holder, recalls)

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        """Write fields of a session if its revision is still the given one; counts as a use.

        Returns when nobody answers with the row as it was any more. The write goes on if the caller has left.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
            RevisionConflict: Somebody wrote first.
            StorageRefused: No space left; nothing was written.
        """
        return await self._shielded(self._update(session_id, revision, changes), session_id)

    async def change(self, session: Session | str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Decide, compare and set; see `compare_and_set`."""
        return await compare_and_set(self, session, decide)

    async def close(self, session_id: str) -> Session:
        """Remove a session, call the listeners of `on_close`, return what it was.

        Once it is removed, the listeners are called even if the caller has left.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
        """
        # A call that is cancelled between the removal and the listeners would leak a model.
        return await self._shielded(self._close(session_id), session_id)

    async def sweep(self) -> int:
        """Remove all expired sessions, call the listeners, return how many there were."""
        removed = 0
        while expired := await self._store.remove_expired(_SWEEP_AT_ONCE):
            for session in expired:
                self.memory.drop(session.id)
                await self._notify_listeners(session.id)
            removed += len(expired)
        if removed:
            _log.info("sessions expired", count=removed)
        return removed

    async def _read(self, session_ids: Collection[str]) -> dict[str, Reading]:
        """Read sessions; where nobody else writes them, keep them in memory until their next use is to be written."""
        with self.memory.reading() as reading:
            found = await self._store.read(session_ids)
            for each in found.values() if self._alone else ():
                reading.keep(each.session, _use_due_s(each))
        return found

    async def _count_use(self, reading: Reading) -> None:
        session = reading.session
        if _use_due_s(reading) > 0 or session.id in self._touching:
            return
        self._touching.add(session.id)
        try:
            await self._store.touch(session.id, reading.at)
        except Exception as error:
            # A full disk must not keep anybody from reading.
            _log.warning("last use not written", session=session.id, error=str(error))
        finally:
            self._touching.discard(session.id)

    async def _shielded(self, write: Coroutine[Any, Any, Session], session_id: str) -> Session:
        """Write, even if the caller leaves; meanwhile the session is not answered from memory."""

        async def work() -> Session:
            with self.memory.writing(session_id):
                return await write

        task = asyncio.create_task(work())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await shielded(task)

    async def _update(self, session_id: str, revision: int, changes: dict[str, Any]) -> Session:
        store = self._store
        written, present = await self.waits.write(
            session_id, lambda recall, waited: store.write(session_id, revision, changes, recall, waited)
        )
        if written is not None:
            return written
        if not present:
            raise no_session(session_id)
        raise RevisionConflict(f"Session {session_id} was changed by another call meanwhile; repeat the request")

    async def _close(self, session_id: str) -> Session:
        session = await self.waits.write(
            session_id, lambda recall, waited: self._store.remove(session_id, recall, waited)
        )
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
                await self._store.forget_leases()
                self.open = await self._store.count()
            except Exception:
                _log.exception("expired sessions could not be removed; trying again")
            await asyncio.sleep(self._settings.session_sweep_s)


def _use_due_s(reading: Reading) -> float:
    """Return the seconds until a use of a session is to be written again; long before it would expire."""
    session = reading.session
    return session.last_used_at + min(_TOUCH_INTERVAL_S, session.ttl_s / 4) - reading.at
