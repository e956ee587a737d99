"""How the processes of a run find one another, and how they know of each other's end.

Process 0 keeps a `torch.distributed.TCPStore`, as with `torchrun`; all others connect to it. The group that trains
meets there. Besides, messages go over it that no exchange of the group may hold up: log lines, what went wrong, signs
of life.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

from swath.engine.training.distributed.group import Group, PeerLost, ProcessGroup

T = TypeVar("T")

_stores: Any = dist
"""Torch documents its stores, and exports no types of them."""

_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=30)
_POLL_INTERVAL_S = 0.1
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Rank:
    """The place of a process among those of its run.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on its machine.
        local_size: How many its machine has.
        host: Where process 0 is.
        port: Port of the store there.
        descriptor: At process 0 the socket that listens there already, if there is one.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    descriptor: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Rank | None:
        """Return the place that `torchrun`'s variables (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) give; None for one
        process alone.

        Raises:
            KeyError, ValueError: Some of them are missing, or no numbers.
        """
        size = int(environment.get("WORLD_SIZE") or 1)
        if size == 1:
            return None
        local_rank, local_size = (int(environment.get(name) or value) for name, value in _LOCAL.items())
        rank, port = int(environment["RANK"]), int(environment["MASTER_PORT"])
        return cls(rank, size, local_rank, local_size, environment["MASTER_ADDR"], port)


_LOCAL = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def listen() -> socket.socket:
    """Return a socket that listens on a free port of this machine alone; for `Rank.descriptor` of process 0."""
    return socket.create_server(("127.0.0.1", 0))


class Rendezvous:
    """A process's end of the store.

    Args:
        rank_info: The process's place.
        give_up: Asked, while process 0 is looked for, whether to do so no longer.

    Raises:
        PeerLost: The store cannot be opened.
    """

    def __init__(self, rank_info: Rank, give_up: Callable[[], bool] = lambda: False) -> None:
        self.rank_info = rank_info
        self._read: dict[str, int] = {}
        while True:
            try:
                self._store = _stores.TCPStore(
                    rank_info.host,
                    rank_info.port,
                    is_master=rank_info.rank == 0,
                    timeout=_ANSWER if rank_info.rank == 0 else _CONNECT,
                    wait_for_workers=False,
                    master_listen_fd=rank_info.descriptor,
                )
                break
            except (dist.DistError, RuntimeError) as error:
                if rank_info.rank == 0 or give_up():
                    raise PeerLost(f"the processes of the run cannot meet at port {rank_info.port}: {error}") from error
                # Process 0 may have to wait for a machine, and its name is not known before.
                time.sleep(_PAUSE_S)
        self._store.set_timeout(_ANSWER)
        self._store.set(f"here/{rank_info.rank}", "")

    def again(self) -> Rendezvous:
        """Return the same end over a connection of its own: two threads must not wait for each other's answers."""
        other = object.__new__(Rendezvous)
        other.rank_info, other._read = self.rank_info, {}
        other._store = self._ask(self._store.clone)
        return other

    def meet(self, give_up: Callable[[], bool]) -> Group | None:
        """Wait for all processes and return their group; None if process 0 gives up before.

        Args:
            give_up: Asked at process 0 whether to wait no longer.

        Raises:
            PeerLost: Process 0 is gone.
        """
        here = [f"here/{rank}" for rank in range(self.rank_info.size)]
        if self.rank_info.rank == 0:
            while not self._has(*here) and not give_up():
                time.sleep(_POLL_INTERVAL_S)
            self._ask(lambda: self._store.set("meet", "1" if self._has(*here) else ""))
        while not self._has("meet"):
            time.sleep(_POLL_INTERVAL_S)
        if not self._ask(lambda: self._store.get("meet")):
            return None
        rank_info = self.rank_info
        return ProcessGroup(
            _stores.PrefixStore("group", self._store),
            rank=rank_info.rank,
            size=rank_info.size,
            local_rank=rank_info.local_rank,
            local_size=rank_info.local_size,
        )

    def missing(self) -> list[int]:
        """Return the numbers of the processes that have not come yet."""
        return [rank for rank in range(self.rank_info.size) if not self._has(f"here/{rank}")]

    def tell(self, subject: str, data: bytes) -> None:
        """Leave something for process 0.

        Raises:
            PeerLost: Process 0 is gone.
        """
        name = f"{subject}/{self.rank_info.rank}"
        self._ask(lambda: self._store.set(f"{name}/{self._store.add(name, 1)}", data))

    def told(self, subject: str, rank: int) -> list[bytes]:
        """Return at process 0 what a process has left on a subject since it was last asked."""
        name, found = f"{subject}/{rank}", []
        while self._has(key := f"{name}/{self._read.get(name, 0) + 1}"):
            self._read[name] = self._read.get(name, 0) + 1
            found.append(self._ask(lambda key=key: self._store.get(key)))
            self._ask(lambda key=key: self._store.delete_key(key))
        return found

    def beat(self) -> None:
        """Give a sign of life.

        Raises:
            PeerLost: Process 0 is gone.
        """
        self._ask(lambda: self._store.add(f"alive/{self.rank_info.rank}", 1))

    def beats(self, rank: int) -> int:
        """Return at process 0 how many signs of life a process has given."""
        return self._ask(lambda: self._store.add(f"alive/{rank}", 0))

    def _has(self, *names: str) -> bool:
        return self._ask(lambda: self._store.check(list(names)))

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except RuntimeError as error:
            raise PeerLost(f"process {self.rank_info.rank} has lost process 0 of the run") from error
