"""Work that outlasts storage which is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from swath.errors import Unavailable

T = TypeVar("T")

_LONGEST_PAUSE_S = 5.0


def patiently(work: Callable[[], T], *, for_s: float = 120.0) -> T:
    """Run work that may be repeated, again and again while storage is away, and return what it returns. Blocks.

    Args:
        work: The work.
        for_s: Seconds after which it is not begun any more.

    Raises:
        Unavailable: Storage was away for all of that time.
    """
    deadline = time.monotonic() + for_s
    pause = 0.25
    while True:
        try:
            return work()
        except Unavailable:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
