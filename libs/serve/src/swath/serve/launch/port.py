"""What the controller asks of whoever starts replicas."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel

NEWS = struct.Struct("<qq")
"""A process and its wait status, -1 when it was forked: what the process that forks replicas says."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process of a replica finds when it starts. Replicas with one environment are forked from one process.

    Attributes:
        path: Folders to import from.
        preload: Modules to import before replicas are forked.
        variables: Environment variables beside the host's.
        image: Container image that processes run in where each has a container of its own; empty for the launcher's.
        code: Digest of the bundle with the code, for processes that do not share a disk with the host.
    """

    path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    image: str = ""
    code: str = ""


class Process(Protocol):
    """The process of a replica.

    Attributes:
        pid: Its number, for people.
    """

    pid: int

    async def channel(
        self, on_call: Callable[[Call], None], on_event: Callable[[Any], None], on_lost: Callable[[], None]
    ) -> Channel:
        """Return what frames go over; see `Channel`.

        Raises:
            OSError: It does not answer any more.
        """
        ...

    def close(self) -> None:
        """Let go of it where there was no channel."""
        ...

    async def ended(self) -> str:
        """Wait for its end; return how it ended, in words."""
        ...

    def kill(self) -> None:
        """End it, whatever it does."""
        ...


class Launcher(Protocol):
    """Starts processes of replicas."""

    async def start(self, environment: Environment) -> Process:
        """Start a process that runs `swath.serve.replica.process.main`.

        Raises:
            RayServeException: It cannot be started.
        """
        ...

    def forget(self, used: set[Environment]) -> None:
        """Let go what it keeps for environments other than those."""
        ...

    async def close(self) -> None:
        """End all processes."""
        ...
