"""gRPC servers whose calls are answered by the thread that takes them, in turn with the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import grpc

from swath.rpc.server.reactor.server import Reactor
from swath.rpc.server.reactor.turns import TurnLoop

__all__ = ["Reactor", "TurnLoop", "make_server", "run"]

T = TypeVar("T")


def make_server(options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Server:
    """Return a server for the running loop: one that takes turns with it where it can, else grpc.aio's.

    Args:
        options: Channel arguments.
    """
    if isinstance(asyncio.get_running_loop(), TurnLoop):
        return Reactor(options)
    return grpc.aio.server(options=options)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process that serves: as `asyncio.run` does, in a loop that takes turns with its servers."""
    with asyncio.Runner(loop_factory=TurnLoop) as runner:
        return runner.run(main)
