"""The asyncio channel whose TLS files may change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from swath.rpc.reloading import connections
from swath.rpc.reloading.connections import Connections, Method, log, may_replace
from swath.rpc.tls import Material
from swath.rpc.watched_files import Watched

_STALLED_S = 2.0
"""An event loop that gave its tasks no time for so long runs only while calls are made."""


class ReloadingAioChannel(grpc.aio.Channel):
    """An asyncio channel whose certificates may change. Made where an event loop runs; a task looks at the files.

    Args:
        files: The TLS files.
        connect: Makes a channel.

    Attributes:
        connections: What calls go over.
    """

    def __init__(self, files: Watched[Material], connect: Callable[[Material], grpc.aio.Channel]) -> None:
        self.connections = Connections(files, connect)
        self._looked_at = time.monotonic()
        self._moving = False
        self._follower = asyncio.create_task(self._follow())

    async def __aenter__(self) -> ReloadingAioChannel:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """As `grpc.aio.Channel`."""
        self._follower.cancel()
        with suppress(asyncio.CancelledError):
            await self._follower
        await asyncio.gather(*(channel.close(grace) for channel in self.connections.channels()))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """As `grpc.aio.Channel`, of the connection that new calls take."""
        return self.connections.current.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As `grpc.aio.Channel`."""
        while self.get_state() is last_observed_state:
            # Not for longer at once: another connection may take the place of this one.
            with suppress(TimeoutError):
                channel = self.connections.current.channel
                await asyncio.wait_for(channel.wait_for_state_change(last_observed_state), connections.POLL_INTERVAL_S)

    async def channel_ready(self) -> None:
        """As `grpc.aio.Channel`."""
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return Method(self.connections, self._look, "unary_unary", method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return Method(self.connections, self._look, "unary_stream", method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return Method(self.connections, self._look, "stream_unary", method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return Method(self.connections, self._look, "stream_stream", method, *args, **kwargs)

    def _look(self) -> None:
        """Take up changed files at once where the loop gave the follower no time, and the connection is gone anyway."""
        if self._moving or time.monotonic() - self._looked_at < _STALLED_S:
            return
        self._looked_at = time.monotonic()
        if self.get_state() is not grpc.ChannelConnectivity.READY and (material := self.connections.changed()):
            self.connections.replace(self.connections.open(material))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(connections.POLL_INTERVAL_S)
            self._looked_at = time.monotonic()
            try:
                # Not as soon as the last call ends: its answer may not have been taken over yet.
                for channel in self.connections.take_idle():
                    await channel.close()
                if material := self.connections.changed():
                    await self._move(material)
            except Exception:
                log.exception("changed TLS files could not be taken up; trying again")

    async def _move(self, material: Material) -> None:
        new = self.connections.open(material)
        self._moving = True
        try:
            async with asyncio.timeout(connections.READY_TIMEOUT_S):
                await new.channel.channel_ready()
        except TimeoutError:
            if not may_replace(self.get_state() is grpc.ChannelConnectivity.READY):
                await new.channel.close()
                return
        except BaseException:
            await new.channel.close()
            raise
        finally:
            self._moving = False
        self.connections.replace(new)
