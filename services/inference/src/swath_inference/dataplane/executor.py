"""The one thread that computes, and the queue before it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

import structlog

from swath.errors import Exhausted, OutOfMemory
from swath.runtime.allocator import give_back_memory

T = TypeVar("T")

_log = structlog.get_logger("swath.inference")


def pick_device(wanted: str) -> str:
    """Return the torch device that a setting means; imports torch."""
    import torch

    if wanted != "auto":
        return str(torch.device(wanted))
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def first_forward(wanted: str) -> str:
    """Bring a device up with all that the first call needs and return its name. Imports torch.

    Args:
        wanted: As `pick_device` takes it.
    """
    import torch

    # Names that the first call needs; their import is part of being warm.
    import swath.engine.graph.codec
    import swath.engine.graph.pipeline
    import swath.engine.graph.registry

    device = pick_device(wanted)
    swath.engine.graph.registry.catalogue()
    with torch.inference_mode():
        sample = swath.engine.graph.codec.decode([64, 64], 1, bytes(64 * 64 * 4)).to(device)
        (sample @ sample).sum().item()
    return device


def memory_of(device: str) -> dict[str, float]:
    """Return bytes of a device's memory by use: used, free, allocated; nothing for the CPU."""
    if not device.startswith("cuda"):
        return {}
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return {"used": total - free, "free": free, "allocated": torch.cuda.memory_allocated(device)}


def free_memory(device: str) -> None:
    """Give memory that no tensor takes any more back to the device, and to the machine."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
    give_back_memory()


class DeviceThread:
    """Runs work on one device, one piece at a time, in the order of arrival.

    A call that is cancelled or out of time while it waits is never started.

    Args:
        limit: Pieces of work that may wait.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = 0
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")

    @property
    def waiting(self) -> int:
        """Pieces of work that wait or run."""
        return self._waiting

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on the device's thread and return what it returns.

        Raises:
            Exhausted: Too much waits already.
            OutOfMemory: The device has not enough memory for it.
        """
        if self._waiting >= self._limit:
            raise Exhausted(f"{self._waiting} calls wait for the device already; try again later", retry_after=1.0)
        self._waiting += 1
        # In the call's context: spans and log lines are the call's.
        piece = [partial(copy_context().run, work)]
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, _guarded, piece)
        finally:
            self._waiting -= 1
            # A piece that was cancelled stays in the executor's queue; what it would have worked on must not.
            piece.clear()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` run after all that waits, however much that is, and return its future."""
        return self._executor.submit(work)

    async def surely(self, work: Callable[[], None]) -> None:
        """Run `work` after all that waits, however much that is, and even if the call is cancelled."""
        await asyncio.shield(asyncio.wrap_future(self.later(work)))

    def later(self, work: Callable[[], None]) -> Future[None]:
        """Have `work` run after all that waits, however much that is. What it raises goes to the log."""
        return self._executor.submit(_logged, work)

    def close(self) -> None:
        """End the thread after what runs now; what waits is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _guarded(piece: list[Callable[[], T]]) -> T:
    with memory_errors():
        return piece[0]()


def _logged(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        _log.exception("the device could not be tidied up")


_OF_CALLS = (
    "the device has not enough memory for this call: send a smaller batch or tiles of the cube, "
    "or ask for fewer outputs with output_specs"
)


@contextlib.contextmanager
def memory_errors(advice: str = _OF_CALLS) -> Iterator[None]:
    """Turn the device's out-of-memory errors into `OutOfMemory` with what to do about it."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise out_of_memory(advice) from error


def out_of_memory(advice: str = _OF_CALLS) -> OutOfMemory:
    """Free what can be freed of a device that has run out of memory, and return the error with what to do about it."""
    import torch

    torch.cuda.empty_cache()
    return OutOfMemory(advice)
