"""Streams of digests that other services answer with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swath.rpc.remote_errors import calling

_CALL_TIMEOUT_S = 60.0


async def read_digests(service: str, stream: Callable[..., Any]) -> set[str]:
    """Return all digests of a stream; they are whole, since it has ended OK.

    Args:
        service: Who answers, for people.
        stream: Opens it, given a `timeout`.

    Raises:
        Unavailable: The service cannot be reached.
        TimedOut: It did not answer in time.
    """
    found: set[str] = set()
    with calling(service):
        async for answer in stream(timeout=_CALL_TIMEOUT_S):
            found.update(answer.digests)
    return found
