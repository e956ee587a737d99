"""Sessions belong to who made them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from swath.rpc.caller import caller
from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import no_session


class OwnedSessions:
    """Sessions as a caller sees them: another's is answered exactly as one that never was.

    Where nobody is asked who calls, and in work that belongs to no call, all sessions are there. Fulfils
    `swath.sessions.model.Sessions`.

    Args:
        sessions: All sessions.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.everyones = sessions

    async def create(self, owner: str = "") -> Session:
        """Make a session of the caller's; `owner` counts only where nobody is asked who calls."""
        who = caller()
        return await self.everyones.create(owner if who is None else who.name)

    async def get(self, session_id: str) -> Session:
        """Return a session of the caller's as of a read that began after this call did.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        return _own(await self.everyones.get(session_id))

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        """Write fields of a session of the caller's if its revision is still the given one.

        Raises:
            SessionNotFound: The caller has no such session.
            RevisionConflict: Somebody wrote first.
        """
        await self.require(session_id)
        return await self.everyones.update(session_id, revision, **changes)

    async def change(self, session: Session | str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Decide, compare and set; where somebody wrote first, read and try again.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        return await self.everyones.change(session, lambda current: decide(_own(current)))

    async def close(self, session_id: str) -> Session:
        """Remove a session of the caller's and return what it was.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        await self.require(session_id)
        return await self.everyones.close(session_id)

    def on_close(self, listener: Callable[[str], Awaitable[None]], in_use: Callable[[], Iterable[str]]) -> None:
        """Have `listener` called after any session was closed or has expired."""
        self.everyones.on_close(listener, in_use)

    async def require(self, session_id: str) -> None:
        """Refuse what is not the caller's. An owner never changes, so this still holds at a write that follows.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        if caller() is not None:
            await self.get(session_id)


def everyones(sessions: Sessions) -> Sessions:
    """Return all sessions, for work that goes on after the call that began it: it may come to serve others."""
    return sessions.everyones if isinstance(sessions, OwnedSessions) else sessions


def is_callers(owner: str) -> bool:
    """Whether what belongs to an identity is there for the present caller; everything is where nobody is asked."""
    who = caller()
    return who is None or owner == who.name


def _own(session: Session) -> Session:
    if not is_callers(session.owner):
        raise no_session(session.id)
    return session
