"""How the C library's allocator treats large blocks of memory.

By default glibc takes each block above a threshold from the kernel and gives it back when it is freed. Every 4 KiB of
it are then a page fault, and zeroed by the kernel, each time: a message of 64 MB, which gRPC and Python copy a few
times, costs as much CPU in that as in all copies of it.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

# Of malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_TOP_PAD_BYTES = 64 * 1024 * 1024

MAX_KEPT_BYTES = 2**31 - 1
"""Most that the allocator can be told to keep."""


@cache
def _libc() -> Any:
    try:
        return ctypes.CDLL(None)
    except OSError:  # pragma: no cover - a Python that is linked statically
        return None


def keep_freed_memory(limit: int, *, library: Any = None) -> bool:
    """Have large blocks come from the heap, and the heap keep what is freed at its end for the next ones.

    All threads take from one heap then: one that each thread has of its own has no room for blocks of more than 64 MiB.
    Small blocks are cached by each thread as before. What is kept is memory that the process had needed at once before.

    Args:
        limit: Bytes at the heap's end that are kept at most; above them all but 64 MiB are given back. With 0 large
            blocks come from the kernel and go back to it, as by default. The small ones that a message arrives in come
            from the one heap all the same: of a heap of a thread's own little is given back.
        library: The C library; the process's own if not given.

    Returns:
        Whether large blocks come from the heap now: the allocator is glibc's.
    """
    tell = getattr(library or _libc(), "mallopt", None)
    if tell is None or tell(_ARENA_MAX, 1) != 1 or not limit:
        return False
    wanted = (
        (_MMAP_MAX, 0),
        (_TOP_PAD, min(limit, _TOP_PAD_BYTES)),
        (_TRIM_THRESHOLD, min(limit, MAX_KEPT_BYTES)),
    )
    return all(tell(what, value) == 1 for what, value in wanted)


def give_back_memory() -> None:
    """Give all memory that is free to the kernel, wherever on the heap it lies; where the allocator is glibc's."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)
