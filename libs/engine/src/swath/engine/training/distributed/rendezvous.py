"""Rendezvous of the processes of a run, and messages between them.

Process 0 serves a `torch.distributed.TCPStore`, as with `torchrun`; all others connect to it. The process group is
formed over it. Messages that must not wait for a collective operation of the group go over it too: log lines,
failures, heartbeats.
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
"""torch documents its stores, but exports no types for them."""

_CONNECT_TIMEOUT = timedelta(seconds=5)
_TIMEOUT = timedelta(seconds=30)
_POLL_INTERVAL_S = 0.1
_RETRY_DELAY_S = 0.5


@dataclass(frozen=True)
class Rank:
    """The rank of a process in its run, and where the run's processes meet.

    Attributes:
        rank: Rank of the process, from 0 (RANK of `torchrun`).
        size: Number of processes (WORLD_SIZE).
        local_rank: Rank among the processes of its machine (LOCAL_RANK).
        local_size: Number of processes on its machine (LOCAL_WORLD_SIZE).
        host: Host of process 0 (MASTER_ADDR).
        port: Port of the store there (MASTER_PORT).
        descriptor: At process 0, the descriptor of a socket that listens on that port already, if there is one.
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
        """Return the rank that the variables of `torchrun` give; None for a single process.

        Raises:
            KeyError, ValueError: A variable is missing, or is not a number.
        """
        size = int(environment.get("WORLD_SIZE") or 1)
        if size == 1:
            return None
        local_rank, local_size = (int(environment.get(name) or value) for name, value in _LOCAL.items())
        rank, port = int(environment["RANK"]), int(environment["MASTER_PORT"])
        return cls(rank, size, local_rank, local_size, environment["MASTER_ADDR"], port)


_LOCAL = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


def listen() -> socket.socket:
    """Return a socket that listens on a free loopback port; for `Rank.descriptor` of process 0."""
    return socket.create_server(("127.0.0.1", 0))


class Rendezvous:
    """The store as one process sees it.

    Args:
        own: Rank of this process.
        give_up: Asked while connecting to process 0: whether to stop trying.

    Raises:
        PeerLost: The store cannot be opened.
    """

    def __init__(self, own: Rank, give_up: Callable[[], bool] = lambda: False) -> None:
        self.own = own
        self._read: dict[str, int] = {}
        while True:
            try:
                self._store = _stores.TCPStore(
                    own.host,
                    own.port,
                    is_master=own.rank == 0,
                    timeout=_TIMEOUT if own.rank == 0 else _CONNECT_TIMEOUT,
                    wait_for_workers=False,
                    master_listen_fd=own.descriptor,
                )
                break
            except (dist.DistError, RuntimeError) as error:
                if own.rank == 0 or give_up():
                    raise PeerLost(f"the processes of the run cannot meet at port {own.port}: {error}") from error
                # Process 0 may be waiting for a machine, and its host name does not resolve before it runs.
                time.sleep(_RETRY_DELAY_S)
        self._store.set_timeout(_TIMEOUT)
        self._store.set(f"joined/{own.rank}", "")

    def clone(self) -> Rendezvous:
        """Return the same over another connection: two threads must not wait for each other's requests."""
        other = object.__new__(Rendezvous)
        other.own, other._read = self.own, {}
        other._store = self._request(self._store.clone)
        return other

    def meet(self, give_up: Callable[[], bool]) -> Group | None:
        """Wait for all processes and return their group; None if process 0 gives up before.

        Args:
            give_up: Asked at process 0: whether to stop waiting.

        Raises:
            PeerLost: Process 0 has ended.
        """
        joined = [f"joined/{rank}" for rank in range(self.own.size)]
        if self.own.rank == 0:
            while not self._has(*joined) and not give_up():
                time.sleep(_POLL_INTERVAL_S)
            self._request(lambda: self._store.set("meet", "1" if self._has(*joined) else ""))
        while not self._has("meet"):
            time.sleep(_POLL_INTERVAL_S)
        if not self._request(lambda: self._store.get("meet")):
            return None
        return ProcessGroup(
            _stores.PrefixStore("group", self._store),
            rank=self.own.rank,
            size=self.own.size,
            local_rank=self.own.local_rank,
            local_size=self.own.local_size,
        )

    def missing(self) -> list[int]:
        """Return the ranks that have not joined yet."""
        return [rank for rank in range(self.own.size) if not self._has(f"joined/{rank}")]

    def publish(self, subject: str, data: bytes) -> None:
        """Send a message to process 0.

        Raises:
            PeerLost: Process 0 has ended.
        """
        name = f"{subject}/{self.own.rank}"
        self._request(lambda: self._store.set(f"{name}/{self._store.add(name, 1)}", data))

    def receive(self, subject: str, rank: int) -> list[bytes]:
        """Return at process 0 the messages that a rank has published on a subject since the last call."""
        name, found = f"{subject}/{rank}", []
        while self._has(key := f"{name}/{self._read.get(name, 0) + 1}"):
            self._read[name] = self._read.get(name, 0) + 1
            found.append(self._request(lambda key=key: self._store.get(key)))
            self._request(lambda key=key: self._store.delete_key(key))
        return found

    def heartbeat(self) -> None:
        """Send a heartbeat.

        Raises:
            PeerLost: Process 0 has ended.
        """
        self._request(lambda: self._store.add(f"heartbeat/{self.own.rank}", 1))

    def heartbeats(self, rank: int) -> int:
        """Return at process 0 how many heartbeats a rank has sent."""
        return self._request(lambda: self._store.add(f"heartbeat/{rank}", 0))

    def _has(self, *names: str) -> bool:
        return self._request(lambda: self._store.check(list(names)))

    def _request(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except RuntimeError as error:
            raise PeerLost(f"process {self.own.rank} has lost process 0 of the run") from error
