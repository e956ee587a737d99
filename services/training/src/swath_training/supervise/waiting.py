"""Waiting for one of several things."""

from __future__ import annotations

import asyncio


def loop_time() -> float:
    """Return the time by the clock of the running event loop, in seconds."""
    return asyncio.get_running_loop().time()


async def wait_any(timeout_s: float | None, *events: asyncio.Event) -> bool:
    """Wait for any of some events and return whether one came in time."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)
