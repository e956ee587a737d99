"""What the controller asks of whoever starts replicas."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Protocol

NEWS = struct.Struct("<qq")
"""A process and its wait status, -1 when it was forked: what the process that forks replicas says."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process of a replica finds when it starts. Replicas with one environment are forked from one process.

    Attributes:
        path: Folders to import from.
        preload: Modules to import before replicas are forked.
        variables: Environment variables beside the host's.
    """

    path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


class Process(Protocol):
    """The process of a replica.

    Attributes:
        socket: Connected with it; frames go over it.
        pid: Its number, for people.
    """

    socket: socket.socket
    pid: int

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
