"""The processes that share a run, and their collective operations.

Only tensors and plain bytes are sent: nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

_TIMEOUT = timedelta(minutes=30)
"""Longest wait in a collective operation: other processes may be waiting for storage that is unavailable."""


class Share(NamedTuple):
    """Frames of a batch that this process and all processes have.

    Attributes:
        own: Frames of this process.
        all: Frames of all processes.
    """

    own: int
    all: int

    @property
    def weight(self) -> float:
        """Fraction of the frames that this process has."""
        return self.own / self.all


class PeerLost(Exception):
    """Another process of the run has ended or does not answer. The run can be resumed from its snapshot."""


class Group:
    """A group of one process, in which collective operations do nothing.

    Attributes:
        rank: Rank of this process, from 0.
        size: Number of processes.
        local_rank: Rank among the processes of its machine.
        local_size: Number of processes on its machine.
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1

    @property
    def is_leader(self) -> bool:
        """Whether this is process 0, which reports the run and writes its files."""
        return self.rank == 0

    def broadcast_flag(self, value: bool) -> bool:
        """Return the value that process 0 gives."""
        return value

    def broadcast(self, data: bytes) -> bytes:
        """Return the bytes that process 0 gives."""
        return data

    def gather(self, data: bytes) -> list[bytes]:
        """Return at process 0 the bytes that each process gives, by rank; an empty list elsewhere."""
        return [data]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensors that the processes give; bit-equal in all of them."""
        return tensor

    def leave(self) -> None:
        """Leave the group: from here on this is a group of one. All processes call it at the same point of the run."""


ALONE = Group()
"""A single process."""


class ProcessGroup(Group):
    """Several processes over `torch.distributed`. All of them call all methods, in the same order.

    Args:
        store: One of torch's stores, for the rendezvous.
        rank: As in `Group`.
        size: As in `Group`.
        local_rank: As in `Group`.
        local_size: As in `Group`.

    Raises:
        PeerLost: Other processes do not join.
    """

    def __init__(self, store: Any, *, rank: int, size: int, local_rank: int, local_size: int) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        self._try(lambda: dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT))

    def broadcast_flag(self, value: bool) -> bool:
        if self.size == 1:
            return value
        flag = torch.tensor([int(value)])
        self._try(lambda: dist.broadcast(flag, 0))
        return bool(flag.item())

    def broadcast(self, data: bytes) -> bytes:
        if self.size == 1:
            return data
        length = torch.tensor([len(data)])
        self._try(lambda: dist.broadcast(length, 0))
        content = _tensor(data) if self.is_leader else torch.empty(int(length.item()), dtype=torch.uint8)
        self._try(lambda: dist.broadcast(content, 0))
        return _bytes(content)

    def gather(self, data: bytes) -> list[bytes]:
        if self.size == 1:
            return [data]
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(data)
        self.all_reduce(lengths)
        if not self.is_leader:
            self._try(lambda: dist.send(_tensor(data), 0))
            return []
        found = [data]
        for rank in range(1, self.size):
            content = torch.empty(int(lengths[rank].item()), dtype=torch.uint8)
            self._try(lambda content=content, rank=rank: dist.recv(content, rank))
            found.append(_bytes(content))
        return found

    def all_reduce(self, tensor: Tensor) -> Tensor:
        if self.size > 1:
            self._try(lambda: dist.all_reduce(tensor))
        return tensor

    def leave(self) -> None:
        if self.size > 1:
            # Without this, a process that leaves first would look as if it had died.
            self.all_reduce(torch.zeros(1))
            dist.destroy_process_group()
            self.size = 1

    def _try(self, exchange: Callable[[], T]) -> T:
        try:
            return exchange()
        except RuntimeError as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise PeerLost(f"process {self.rank} has lost another process of the run: {first}") from error


def _tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()
