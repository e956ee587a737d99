"""What carries the calls of handles in the host's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from swath.serve.controller.controller import Controller
from swath.serve.handle import Target
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer


class HostCaller:
    """Carries the calls of handles in the host's own process.

    Args:
        controller: Of the host.
    """

    by_value = True

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.loop: asyncio.AbstractEventLoop = controller.loop

    async def open(self, target: Target, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
        """Start a call.

        Raises:
            RayServeException: It cannot start.
        """
        return await self._controller.open_python(target, about, payload)
