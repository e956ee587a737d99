"""Calls that a replica's code makes of other deployments: they go through the host, over the same socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from swath.serve.handle import Target
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel
from swath.serve.transport.frames import Buffer


class Outside:
    """Carries calls out of a replica.

    Args:
        channel: Gives the channel to a host; raises RayServeException where there is none.
    """

    by_value = False

    def __init__(self, channel: Callable[[], Channel]) -> None:
        self._channel = channel
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()

    async def open(self, target: Target, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
        """Start a call. That it cannot start, the host says by its end."""
        return self._channel().open(("python", target.application, target.deployment, *about), payload)
