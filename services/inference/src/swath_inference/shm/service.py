"""Regions of shared memory of sessions, each as long as somebody holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swath.errors import Precondition
from swath.sessions.model import Sessions
from swath_inference.shm.regions import Region, Regions


class RegionService:
    """Makes and ends regions.

    Args:
        sessions: The sessions' authority.
        regions: All regions of this server.
    """

    def __init__(self, sessions: Sessions, regions: Regions) -> None:
        self._sessions = sessions
        self._regions = regions

    @asynccontextmanager
    async def holding(self, session_id: str, size: int, *, local: bool) -> AsyncIterator[Region]:
        """Make a region, and end it when the block is left.

        Args:
            session_id: The session.
            size: Bytes.
            local: Whether it is for a client on this machine.

        Raises:
            SessionNotFound: No such session.
            InputInvalid: A region needs bytes.
            QuotaExceeded: The session, or the server, has as many bytes as it may.
            Precondition: The client is on another machine, or this one has no sealed memory.
            Exhausted: It has not as much memory.
        """
        await self._sessions.get(session_id)
        if not local:
            raise Precondition("shared memory is made only for clients on the same host")
        region = await self._regions.make(session_id, size)
        try:
            yield region
        finally:
            self._regions.end(region)

    async def expired(self, region: Region) -> None:
        """Return when a region has ended, or no request has named it for long."""
        await self._regions.expire(region)

    async def forget(self, session_id: str) -> None:
        """End the regions of a session that was closed."""
        self._regions.end_session(session_id)

    async def drain(self) -> None:
        """End all regions, and with them the streams that hold them."""
        self._regions.end_all()
