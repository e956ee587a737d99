"""Work that goes on when the call that began it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import structlog

from swath.errors import SwathError

_log = structlog.get_logger("swath.calls")

T = TypeVar("T")


async def shielded(work: Awaitable[T]) -> T:
    """Wait for work that goes on if this wait is cancelled.

    What it ends with is then nobody's: a refusal, such as that of an upload that was cut, is dropped. Anything else is
    a fault of the server, and logged.
    """
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_end)
        raise


def _end(future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        return
    error = future.exception()
    if error is not None and not isinstance(error, SwathError):
        _log.error("what a cancelled call had begun failed", exc_info=error)
