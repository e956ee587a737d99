"""Counts the calls in flight, and refuses new ones once a server drains."""

from __future__ import annotations

import asyncio
import contextlib

from swath.errors import Unavailable


class InFlight:
    """Counts calls, and refuses them once it is closed.

    gRPC itself, when it stops, cancels calls that have arrived but have not begun, and a client does not retry a call
    that was cancelled. So a server is closed here first: calls that still arrive get UNAVAILABLE, which is retried.
    """

    def __init__(self) -> None:
        self._open = True
        self._inside = 0
        self._empty: asyncio.Event | None = None

    def enter(self) -> None:
        """Count a call, which then has to `leave`.

        Raises:
            Unavailable: It is closed.
        """
        if not self._open:
            raise Unavailable("the server goes away; call again", retry_after=1.0)
        self._inside += 1

    def leave(self) -> None:
        """Count a call no longer."""
        self._inside -= 1
        if self._empty is not None and not self._inside:
            self._empty.set()

    def close(self) -> None:
        """Refuse new calls from now on."""
        self._open = False

    async def empty(self, timeout_s: float) -> None:
        """Wait until no call is in flight, but not longer than a time in seconds."""
        if self._inside:
            self._empty = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
