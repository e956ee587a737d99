"""A replica in a container of its own: `python -m swath.serve.replica.pod`. Hosts connect to it, as many as there are.

It is the same as a process that a host has forked, but for whose it is: the first host that connects has it load and
construct, later ones find it made, and it stays when one goes. The container's end is its end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from swath.serve import compat, multiplex
from swath.serve.exceptions import DeploymentUnavailableError
from swath.serve.handle import set_caller
from swath.serve.replica.outside import Outside
from swath.serve.replica.process import ReplicaProcess
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel
from swath.serve.transport.memory import keep_large_blocks
from swath.serve.transport.secure import listen

_LAG_S = 2.0
"""Seconds for which calls are taken still after hosts were told that it goes: some may be under way."""

_FLUSH_S = 0.2
_FINALIZE_S = 5.0


class PodSettings(BaseSettings):
    """Where a replica in a container listens. Fields are environment variables: `SWATH_REPLICA_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_REPLICA_", extra="ignore", use_attribute_docstrings=True)

    token: str = Field(min_length=32)
    """What hosts have to know: that of the application's version."""
    host: str | None = None
    """Address to listen on; all of them if not set."""
    port: int = 7081
    """Where hosts connect."""
    ready_port: int = 7082
    """Open for TCP once the constructor has returned."""
    code: Path | None = None
    """Folder with the users' code."""
    grace_s: float = 20.0
    """Seconds that calls have when the container is to stop."""
    tls_cert: Path | None = None
    """Certificate chain."""
    tls_key: Path | None = None
    """Its private key."""
    tls_ca: Path | None = None
    """CAs that hosts' certificates must lead to."""


class PodReplica(ReplicaProcess):
    """A replica with several hosts.

    Args:
        settings: Where it listens.
        variables: Environment to begin anew with after a constructor that has failed.
    """

    def __init__(self, settings: PodSettings, variables: Mapping[str, str]) -> None:
        super().__init__()
        self._own = settings
        self._variables = dict(variables)
        self._hosts: dict[Channel, None] = {}
        self._models: Any = None
        self._made: dict[str, asyncio.Task[Any]] = {}
        self._config: bytes | None = None
        self._limit = 0
        self._running = 0
        self._queue: deque[Call] = deque()
        self._ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._leaving = False

    async def serve(self) -> None:
        """Take hosts until the container is to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        set_caller(Outside(self._host))
        multiplex.tell(self._tell_models)
        own = self._own
        server = await listen((own.host, own.port), own.token, own, self._enter)
        print(f"replica listens on port {own.port}", flush=True)
        await self._ended.wait()
        await self._leave()
        server.close()

    # Hosts.

    def _enter(self) -> Channel:
        def lost() -> None:
            self._hosts.pop(channel, None)

        channel = Channel(self._called, self._event, lost)
        self._hosts[channel] = None
        if self._models is not None:
            asyncio.get_running_loop().call_soon(channel.tell, ("models", self._models))
        if self._leaving:
            asyncio.get_running_loop().call_soon(channel.tell, ("leaving",))
        return channel

    def _host(self) -> Channel:
        for channel in self._hosts:
            return channel
        raise DeploymentUnavailableError("no host of the application is connected to this replica")

    def _tell_models(self, models: Any) -> None:
        self._models = models
        for channel in self._hosts:
            channel.tell(("models", models))

    def _event(self, event: Any) -> None:
        if event[0] == "limit":
            self._limit = event[1]
            self._next()

    # Calls: each host bounds its own, and this all of them together.

    def _called(self, call: Call) -> None:
        if call.about[0] in self._operations:
            super()._called(call)
        elif self._limit and self._running >= self._limit:
            self._queue.append(call)
        else:
            self._start(call)

    def _start(self, call: Call) -> None:
        assert self._calls is not None
        self._running += 1
        self._calls.start(call).add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running -= 1
        self._next()
        self._idle.set()

    def _next(self) -> None:
        while self._queue and (not self._limit or self._running < self._limit):
            call = self._queue.popleft()
            if not call.over:
                self._start(call)

    # Operations: what one host has asked for is done for all.

    async def _load(self, call: Call) -> Any:
        kind, definition, settings = call.about
        path = [] if self._own.code is None else [str(self._own.code)]
        call.about = (kind, definition, {**settings, "path": path})
        return await self._once("load", super()._load, call)

    async def _construct(self, call: Call) -> Any:
        if self._config is None:
            self._config = bytes(call.payload)
        first = "construct" not in self._made
        await self._once("construct", super()._construct, call)
        if first:
            await asyncio.get_running_loop().create_server(_Ready, self._own.host, self._own.ready_port)

    async def _once(self, what: str, work: Any, call: Call) -> Any:
        if what not in self._made:
            self._made[what] = asyncio.ensure_future(work(call))
        try:
            return await asyncio.shield(self._made[what])
        except asyncio.CancelledError:
            raise
        except BaseException:
            # A process that has half made something is no place to try again.
            asyncio.get_running_loop().call_later(_FLUSH_S, self._begin_anew)
            raise

    def _begin_anew(self) -> None:
        if self._ended.is_set():
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, "-m", "swath.serve.replica.pod"], self._variables)

    async def _reconfigure(self, call: Call) -> None:
        # Each host asks for it; the object is told once.
        if bytes(call.payload) != self._config:
            await super()._reconfigure(call)
            self._config = bytes(call.payload)

    async def _stop(self, call: Call) -> None:
        """Nothing: a host lets go of it, and others may not."""

    async def _leave(self) -> None:
        self._leaving = True
        for channel in self._hosts:
            channel.tell(("leaving",))
        if self._calls is None:
            return
        await asyncio.sleep(_LAG_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._own.grace_s):
                while self._running or self._queue:
                    self._idle.clear()
                    await self._idle.wait()
        if self._servable is not None:
            try:
                async with asyncio.timeout(_FINALIZE_S):
                    await self._servable.finalize()
            except Exception:
                traceback.print_exc()
        # What was answered last is on its way.
        await asyncio.sleep(_FLUSH_S)


class _Ready(asyncio.Protocol):
    """Says by being there that calls are taken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def main() -> None:
    """Be a replica until the container is to stop."""
    variables = dict(os.environ)
    settings = PodSettings()  # pyright: ignore[reportCallIssue]  - fields come from the environment
    # What proves who hosts are is not for users' code.
    for name in [each for each in os.environ if each.startswith("SWATH_")]:
        del os.environ[name]
    keep_large_blocks()
    if settings.code is not None:
        sys.path.insert(0, str(settings.code))
    compat.install_here()
    status = 1
    try:
        asyncio.run(PodReplica(settings, variables).serve())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
