"""What the queue of a device holds: decoded requests."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swath.errors import InputInvalid

if TYPE_CHECKING:
    from swath.storage.workspace.outputs import Outputs
    from swath_inference.dataplane.models import Model

Batch = dict[str, Any]
"""Inputs by port name: tensors, lists, text."""

_REMEMBERED = 3
_COLD = 4.0
"""How much longer than on the event loop, whose caches are warm, a small forward takes on a thread that has just been
woken; without it what is there once would never come back."""
_APART_S = 60.0
_MOST_APART = 16


def check_frames(name: str, tensor: Any) -> None:
    """Refuse an input whose frames are empty; a batch may be.

    Raises:
        InputInvalid: It is one.
    """
    if not tensor.numel() and 0 in tensor.shape[1:]:
        raise InputInvalid(f"{name}: shape {list(tensor.shape)} has no elements in a frame")


def size_of(values: Batch) -> int:
    """Return the bytes of the tensors among inputs or outputs."""
    size = 0
    for value in values.values():
        size += getattr(value, "nbytes", 0)
    return size


@dataclass(eq=False, slots=True)
class InferRequest:
    """One call's work for a device.

    Attributes:
        model: What computes it.
        batch: Its inputs, decoded.
        files: Where its nodes write.
        only: Outputs wanted, as `node.port` or as port name, in order; None means all.
        deadline: Second of `time.monotonic` after which nobody waits for it; None means never.
        priority: The higher goes first.
        observe: Called with each node's name and seconds, where the session is profiled.
        synchronize: Whether the device is waited for around each node then.
        alone: Whether it is never computed with others.
        fresh: Whether nodes with a memory are to have forgotten what was before the call.
        context: The call's context, which its spans and log lines belong to, where it is computed outside of that.
        arrived: Second of `time.monotonic` at which it came to the queue.
        size: Bytes of its tensors.
        started: Called with the seconds for which it has waited and the calls that were computed with it, itself among
            them.
        parted: Whether it was computed alone, although it was taken with others.
    """

    model: Model
    batch: Batch
    files: Outputs
    only: tuple[str, ...] | None = None
    deadline: float | None = None
    priority: int = 0
    observe: Callable[[str, float], None] | None = None
    synchronize: bool = False
    alone: bool = False
    fresh: bool = True
    context: Context | None = None
    arrived: float = field(default_factory=time.monotonic)
    size: int = field(init=False)
    started: Callable[[float, int], None] | None = None
    parted: bool = False

    def __post_init__(self) -> None:
        self.size = size_of(self.batch)


class Apart:
    """What requests have in common that could not be computed together, though each of them could: for a while.

    Such is a pipeline with a node that takes a batch for larger than it can do, or that is wrong about its items.
    """

    def __init__(self) -> None:
        self._until: dict[Hashable, float] = {}

    def add(self, key: Hashable) -> None:
        """Remember a `merge_key`; of many, the latest ones."""
        self._until.pop(key, None)
        self._until[key] = time.monotonic() + _APART_S
        if len(self._until) > _MOST_APART:
            self._until.pop(next(iter(self._until)), None)

    def __contains__(self, key: Hashable) -> bool:
        return bool(self._until) and self._until.get(key, 0.0) > time.monotonic()


class Pace:
    """How long the last forwards of a model took, in seconds of CPU as they are on the event loop.

    Attributes:
        together: How many calls its batches have had lately.
        here: Whether the forward under way runs on the event loop, and not on the device's thread.
    """

    def __init__(self) -> None:
        self._last: deque[tuple[int, int, float]] = deque(maxlen=_REMEMBERED)
        self.together = 1.0
        self.here = False

    def add(self, calls: int, size: int, seconds: float) -> None:
        """Take a forward of some calls, with inputs of some bytes, into account."""
        self._last.append((calls, size, seconds if self.here else seconds / _COLD))

    def expected(self, calls: int, size: int) -> float:
        """Return the seconds that a forward will take at most; infinite as long as nobody knows.

        Args:
            calls: Calls of the forward.
            size: Bytes of their inputs.
        """
        if len(self._last) < _REMEMBERED:
            return math.inf
        most = 0.0
        for before, before_size, seconds in self._last:
            expected = seconds * max(1.0, calls / before, size / (before_size or 1))
            if expected > most:
                most = expected
        return most
