"""The devices of a replica: each has a thread, and a queue before it. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from swath_inference.dataplane.batcher import Batcher
from swath_inference.dataplane.executor import DeviceThread
from swath_inference.dataplane.forward import forward
from swath_inference.dataplane.limits import Limits
from swath_inference.dataplane.merging import merge_key


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: Of torch.
        thread: Computes on it.
        queue: What waits for it.
    """

    name: str
    thread: DeviceThread
    queue: Batcher


def with_queues(threads: Sequence[DeviceThread], names: Sequence[str], limits: Limits) -> list[Device]:
    """Return devices whose threads compute pipelines."""
    return [
        Device(name, thread, Batcher(thread, forward, merge_key, attrgetter("size"), limits))
        for name, thread in zip(names, threads, strict=True)
    ]
