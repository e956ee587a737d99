"""Counts the calls in flight, and refuses new ones once a server drains."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from swath.errors import Unavailable

_OUTSIDE = "/grpc."
"""Health and reflection answer to the end, and a drain does not wait for their streams."""


class InFlight:
    """Counts calls, and refuses them once it is closed.

    gRPC itself, when it stops, cancels calls that have arrived but have not begun, and a client does not retry a call
    that was cancelled. So a server is closed here first: calls that still arrive get UNAVAILABLE, which is retried.
    """

    def __init__(self) -> None:
        self._open = True
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextlib.contextmanager
    def passing(self, method: str) -> Iterator[None]:
        """Count a call for as long as it lasts.

        Raises:
            Unavailable: It is closed.
        """
        if method.startswith(_OUTSIDE):
            yield
            return
        if not self._open:
            raise Unavailable("the server goes away; call again", retry_after=1.0)
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    def close(self) -> None:
        """Refuse new calls from now on."""
        self._open = False

    async def empty(self, timeout_s: float) -> None:
        """Wait until no call is in flight, but not longer than a time in seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), timeout_s)
