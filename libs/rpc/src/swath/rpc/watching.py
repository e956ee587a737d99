"""Streams of another service that are opened again whenever they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import structlog

from swath.errors import Unavailable
from swath.retry import Backoff, Retry
from swath.rpc.remote_errors import calling

_log = structlog.get_logger("swath.calls")

_RECONNECT = Retry(on=Exception, max_s=2.0)


async def watch(
    service: str,
    what: str,
    stream: Callable[[], Any],
    told: Callable[[Any], Awaitable[None]],
    *,
    lost: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Read a stream for ever.

    Args:
        service: Name of the service that answers, for people.
        what: What the stream tells of, for the log.
        stream: Opens it.
        told: Called with each answer, in turn. If it raises, the stream is opened anew.
        lost: Called when a stream has ended.
    """
    backoff = Backoff(_RECONNECT)

    async def until_lost() -> NoReturn:
        with calling(service):
            async for answer in stream():
                await told(answer)
                backoff.succeeded()
        raise Unavailable(f"the {service} service ended the stream")

    while True:
        try:
            await until_lost()
        except Exception as error:
            _log.info(f"no notifications of {what} for a while", error=str(error))
            pause = backoff.failed(error)
        finally:
            lost()
        await asyncio.sleep(pause)
