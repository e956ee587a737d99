"""swath.session.v1.SessionAuthority: what the other services ask."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from swath.session.v1 import session_pb2 as pb
from swath.sessions.messages import changes_of, message_of
from swath.storage.sql.notifications import Notifications
from swath_session.sessions.authority import SessionAuthority
from swath_session.sessions.leases import RECALLED
from swath_session.sessions.store import CLOSED

Context = grpc.aio.ServicerContext


class SessionAuthorityServicer:
    """Answers the other services.

    Args:
        authority: Decides.
        notifications: Give the sessions that were closed or have expired, and recalls, at whichever replica.
    """

    def __init__(self, authority: SessionAuthority, notifications: Notifications) -> None:
        self._authority = authority
        self._notifications = notifications

    async def ReadSessions(self, request: pb.ReadSessionsRequest, context: Context) -> pb.ReadSessionsResponse:
        sessions, leases = await self._authority.read(request.ids, use=request.use, holder=request.holder)
        return pb.ReadSessionsResponse(sessions=map(message_of, sessions), leases=leases)

    async def AddSession(self, request: pb.AddSessionRequest, context: Context) -> pb.AddSessionResponse:
        return pb.AddSessionResponse(session=message_of(await self._authority.create(request.owner)))

    async def UpdateSession(self, request: pb.UpdateSessionRequest, context: Context) -> pb.UpdateSessionResponse:
        session = await self._authority.update(request.id, request.revision, **changes_of(request))
        return pb.UpdateSessionResponse(session=message_of(session))

    async def RemoveSession(self, request: pb.RemoveSessionRequest, context: Context) -> pb.RemoveSessionResponse:
        return pb.RemoveSessionResponse(session=message_of(await self._authority.close(request.id)))

    async def WatchGone(
        self, request: pb.WatchGoneRequest, context: Context
    ) -> AsyncGenerator[pb.WatchGoneResponse, None]:
        async with aclosing(self._notifications.subscribe(CLOSED)) as notifications:
            async for session_id in notifications:
                # None: from here on nothing is missed, but something may have been before.
                yield pb.WatchGoneResponse(ids=() if session_id is None else (session_id,))

    async def WatchRecalls(
        self, request: pb.WatchRecallsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchRecallsResponse, None]:
        async with aclosing(self._notifications.subscribe(RECALLED)) as notifications:
            async for payload in notifications:
                if payload is None:
                    yield pb.WatchRecallsResponse()
                    continue
                session_id, token, holder = payload.split(" ", 2)
                if holder == request.holder:
                    yield pb.WatchRecallsResponse(recalls=[pb.Recall(session_id=session_id, token=token)])

    async def ReturnLeases(self, request: pb.ReturnLeasesRequest, context: Context) -> pb.ReturnLeasesResponse:
        recalls = [(recall.session_id, recall.token) for recall in request.recalls]
        await self._authority.give_back(request.holder, recalls)
        return pb.ReturnLeasesResponse()
