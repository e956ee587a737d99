"""Streams of the session service that are opened again whenever they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar

import structlog

from swath.errors import Unavailable
from swath.retry import Backoff, Retry
from swath.rpc.remote_errors import calling

_log = structlog.get_logger("swath.sessions")

SERVICE = "session"
_RECONNECT = Retry(on=Exception, max_s=2.0)

T = TypeVar("T")


async def watch(
    what: str,
    stream: Callable[[], Any],
    *,
    items: Callable[[Any], Sequence[T]],
    connected: Callable[[], Awaitable[None]],
    told: Callable[[Sequence[T]], Awaitable[None]],
    lost: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Read a stream for ever.

    Args:
        what: What the stream tells of, for the log.
        stream: Opens it.
        items: Gives what an answer tells of. An empty one comes first, and wherever something may have been missed.
        connected: Called after each empty answer: from then on nothing is missed.
        told: Called with the items of each of the others.
        lost: Called when a stream has ended.
    """
    backoff = Backoff(_RECONNECT)

    async def until_lost() -> NoReturn:
        with calling(SERVICE):
            async for answer in stream():
                if found := items(answer):
                    await told(found)
                else:
                    await connected()
                    backoff.succeeded()
        raise Unavailable(f"the {SERVICE} service ended the stream")

    while True:
        try:
            await until_lost()
        except Exception as error:
            _log.info(f"no notifications of {what} for a while", error=str(error))
            pause = backoff.failed(error)
        finally:
            lost()
        await asyncio.sleep(pause)
