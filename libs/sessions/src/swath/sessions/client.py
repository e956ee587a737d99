"""Sessions over gRPC, for processes that do not run the session service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

import grpc
import structlog

from swath.rpc.remote_errors import calling
from swath.rpc.watching import watch
from swath.session.v1 import session_pb2 as pb
from swath.session.v1.session_pb2_grpc import SessionAuthorityStub
from swath.sessions.lease_keeper import AT_ONCE, LeaseKeeper
from swath.sessions.messages import SERVICE, changes_message, session_of
from swath.sessions.model import Session
from swath.sessions.preconditions import compare_and_set, no_session
from swath.sessions.read_batcher import ReadBatcher

_log = structlog.get_logger("swath.sessions")


class RemoteSessions:
    """Asks the session service. Fulfils `swath.sessions.model.Sessions`.

    A session that is read again and again is answered from memory while a lease of it lasts; see `LeaseKeeper`.

    Args:
        channel: To the session service's replicas.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = SessionAuthorityStub(channel)
        self._leases = LeaseKeeper(self._stub)
        self._reads = ReadBatcher(lambda ids: self._read(ids, use=True))
        self._listeners: list[tuple[Callable[[str], Awaitable[None]], Callable[[], Iterable[str]]]] = []
        self._watcher: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Stop watching, and give leases back."""
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        await self._leases.stop()

    async def create(self, owner: str = "") -> Session:
        """Make a session and return it."""
        with calling(SERVICE):
            return session_of((await self._stub.AddSession(pb.AddSessionRequest(owner=owner))).session)

    async def get(self, session_id: str) -> Session:
        """Return the session with every write that was acknowledged before this call, and count the call as a use.

        Raises:
            SessionNotFound: No such session, or it has expired or was closed.
            Unavailable: The session service cannot be reached.
        """
        session = self._leases.memory.find(session_id)
        if session is None:
            session = await self._reads.get(session_id)
            if session is None:
                raise no_session(session_id)
            self._leases.missed(session_id)
        return session

    async def update(self, session_id: str, revision: int, **changes: Any) -> Session:
        """Write fields of a session if its revision is still the given one.

        Raises:
            SessionNotFound: No such session.
            RevisionConflict: Somebody wrote first.
        """
        with calling(SERVICE):
            return session_of((await self._stub.UpdateSession(changes_message(session_id, revision, changes))).session)

    async def change(self, session: Session | str, decide: Callable[[Session], dict[str, Any]]) -> Session:
        """Decide, compare and set; see `compare_and_set`."""
        return await compare_and_set(self, session, decide)

    async def close(self, session_id: str) -> Session:
        """Remove a session and return what it was. Listeners, here and elsewhere, are called a little later.

        Raises:
            SessionNotFound: No such session.
        """
        with calling(SERVICE):
            return session_of((await self._stub.RemoveSession(pb.RemoveSessionRequest(id=session_id))).session)

    def on_close(self, listener: Callable[[str], Awaitable[None]], in_use: Callable[[], Iterable[str]]) -> None:
        """Have `listener` called with the id of a session that was closed or has expired, at whichever replica.

        Call it where an event loop runs.

        Args:
            listener: Called at least once per session.
            in_use: Gives the ids of sessions that the listener still has something of; those that were closed while
                the session service was out of reach are found by it.
        """
        self._listeners.append((listener, in_use))
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())

    async def _read(self, ids: Collection[str], *, use: bool) -> Mapping[str, Session]:
        found: dict[str, Session] = {}
        wanted = list(ids)
        for start in range(0, len(wanted), AT_ONCE):
            request = pb.ReadSessionsRequest(ids=wanted[start : start + AT_ONCE], use=use)
            with calling(SERVICE):
                answer = await self._stub.ReadSessions(request)
            found.update((session.id, session_of(session)) for session in answer.sessions)
        return found

    async def _watch(self) -> None:
        async def told(answer: pb.WatchGoneResponse) -> None:
            # An empty one comes first, and wherever something may have been missed.
            if answer.ids:
                await self._notify_listeners(answer.ids)
            else:
                await self._find_missed()

        await watch(SERVICE, "closed sessions", lambda: self._stub.WatchGone(pb.WatchGoneRequest()), told)

    async def _find_missed(self) -> None:
        in_use = {session_id for _, each in self._listeners for session_id in each()}
        if in_use:
            alive = await self._read(in_use, use=False)
            await self._notify_listeners(in_use - alive.keys())

    async def _notify_listeners(self, ids: Iterable[str]) -> None:
        for session_id in ids:
            for listener, _ in self._listeners:
                try:
                    await listener(session_id)
                except Exception:
                    _log.exception("a listener failed after a session was closed", session=session_id)
