"""Health of a whole suite: which services have a replica that is ready."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import REGISTRY
from swath.rpc.addresses import Address
from swath.rpc.server.health import HealthBoard, Status

_POLL_INTERVAL_S = 1.0
_CALL_TIMEOUT_S = 1.0
_RESOLVE_INTERVAL_S = 5.0
_LATE_LIMIT_S = 60.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_REMEMBERED = 1000
"""Names from which on old answers are forgotten."""
_OF_MODELS = "inference"
"""The service that answers for names of models."""

Connect = Callable[[str, Address], grpc.aio.Channel]
"""Makes a channel to one replica, given its service's name and its IP address."""


class HealthWatch:
    """Asks every replica of the other services for its health, and keeps a board up to date.

    A frozen replica sends no change, so replicas are asked once per second instead of being watched: what has changed
    is on the board within three seconds. A late answer is no change: a replica whose event loop is busy is slow, and
    stays what it was for up to a minute. A frozen one answers no ping either, and its connection ends within ten
    seconds.

    Args:
        board: Is kept up to date.
        addresses: Addresses of each service, by its name.
        connect: Makes channels.
    """

    def __init__(self, board: HealthBoard, addresses: Mapping[str, Iterable[Address]], connect: Connect) -> None:
        self._board = board
        self._addresses = addresses
        self._connect = connect
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: dict[str, dict[Address, grpc.aio.Channel]] = {}
        self._asked: dict[str, tuple[float, asyncio.Task[Status | None]]] = {}

    async def start(self) -> None:
        """Begin to ask."""
        if _OF_MODELS in self._addresses:
            self._board.ask_models = partial(self._ask_once, _OF_MODELS)
        if REGISTRY.catch_all in self._addresses:
            self._board.ask_others = partial(self._ask_once, REGISTRY.catch_all)
        self._tasks = [asyncio.create_task(self._watch(part)) for part in self._addresses]

    async def stop(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, part: str) -> None:
        channels = self._channels.setdefault(part, {})
        answers: dict[Address, _Answer] = {}
        looked_up = -_RESOLVE_INTERVAL_S
        loop = asyncio.get_running_loop()
        try:
            while True:
                started = loop.time()
                if started - looked_up >= _RESOLVE_INTERVAL_S:
                    await self._look_up(part, channels)
                    looked_up = started
                    answers = {address: answers.get(address, _Answer()) for address in channels}
                asked = (_ask(part, channel, answers[address]) for address, channel in channels.items())
                answers = dict(zip(channels, await asyncio.gather(*asked), strict=True))
                await self._board.set_ready(part, any(answer.ready for answer in answers.values()))
                await asyncio.sleep(max(0.0, started + _POLL_INTERVAL_S - loop.time()))
        finally:
            for channel in channels.values():
                await channel.close()

    async def _ask_once(self, part: str, name: str) -> Status | None:
        """Return what a name is that a service's replicas know: SERVING where one of them serves it.

        Anybody may ask, so however many do replicas are asked once per interval.
        """
        now = asyncio.get_running_loop().time()
        at, asking = self._asked.get(name, (-_POLL_INTERVAL_S, None))
        if asking is None or now - at >= _POLL_INTERVAL_S:
            if len(self._asked) >= _REMEMBERED:
                self._asked = {each: kept for each, kept in self._asked.items() if now - kept[0] < _POLL_INTERVAL_S}
            asking = asyncio.create_task(self._ask_for(part, name))
            self._asked[name] = now, asking
        return await asyncio.shield(asking)

    async def _ask_for(self, part: str, name: str) -> Status | None:
        channels = self._channels.get(part, {}).values()
        said = await asyncio.gather(*(_check(channel, name) for channel in channels), return_exceptions=True)
        known = {answer.status for answer in said if not isinstance(answer, BaseException)}
        return max(known, key=lambda status: status == _SERVING, default=None)

    async def _look_up(self, part: str, channels: dict[Address, grpc.aio.Channel]) -> None:
        """Have a channel to each address that the service's names stand for now."""
        found = {each for address in self._addresses[part] for each in await resolve(address)}
        for gone in channels.keys() - found:
            await channels.pop(gone).close()
        for new in found - channels.keys():
            channels[new] = self._connect(part, new)


async def resolve(address: Address) -> list[Address]:
    """Return the IP addresses that a name stands for, none where it is not known; an IP address is itself."""
    if address.literal:
        return [address]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(Address(str(where[0]), address.port) for *_, where in found))


@dataclass(frozen=True)
class _Answer:
    """What a replica has said last, and when by the clock of the event loop."""

    ready: bool = False
    at: float = 0.0


async def _check(channel: grpc.aio.Channel, name: str) -> health_pb2.HealthCheckResponse:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=_CALL_TIMEOUT_S)


async def _ask(part: str, channel: grpc.aio.Channel, last: _Answer) -> _Answer:
    now = asyncio.get_running_loop().time()
    try:
        answer = await _check(channel, f"swath.{part}")
    except grpc.aio.AioRpcError as error:
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and now - last.at < _LATE_LIMIT_S
        return last if late else _Answer(ready=False, at=now)
    return _Answer(ready=answer.status == _SERVING, at=now)
