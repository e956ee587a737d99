"""The processes that share a run, and what they tell one another.

Everything that travels is a tensor or plain bytes: nothing is unpickled, whoever may have sent it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

_EXCHANGE_TIMEOUT = timedelta(minutes=30)
"""Longest wait for the others at one exchange: they may be reading from storage that is away for a while."""


class Share(NamedTuple):
    """How many frames of a batch are whose.

    Attributes:
        own: This process's.
        all: Those of all processes.
    """

    own: int
    all: int

    @property
    def weight(self) -> float:
        """Part of the frames that are this process's."""
        return self.own / self.all


class PeerLost(Exception):
    """Another process of the run is gone, or has said nothing for too long. The run can go on from its snapshot."""


class Group:
    """A process by itself, which is a group too: whatever it says is what all say.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process among those of its machine.
        local_size: How many its machine has.
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1

    @property
    def is_leader(self) -> bool:
        """Whether this is process 0, which tells of the run and writes its files."""
        return self.rank == 0

    def broadcast_flag(self, value: bool) -> bool:
        """Return what process 0 says."""
        return value

    def broadcast(self, data: bytes) -> bytes:
        """Return what process 0 gives."""
        return data

    def gather(self, data: bytes) -> list[bytes]:
        """Return what each process gives, by rank, at process 0; nothing elsewhere."""
        return [data]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensors that the processes give; the same bits at each."""
        return tensor

    def leave(self) -> None:
        """Need the others no more: from here on this is a process by itself. Called by all, at one point of the run."""


ALONE = Group()


class ProcessGroup(Group):
    """Several processes over `torch.distributed`. Every method is called by all of them, in one order.

    Args:
        store: Where they meet, one of torch's stores.
        rank: As in `Group`.
        size: As in `Group`.
        local_rank: As in `Group`.
        local_size: As in `Group`.

    Raises:
        PeerLost: The others do not come.
    """

    def __init__(self, store: Any, *, rank: int, size: int, local_rank: int, local_size: int) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        self._try(
            lambda: dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_EXCHANGE_TIMEOUT)
        )

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
            # Whoever leaves first would look to the others as if it had died.
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
