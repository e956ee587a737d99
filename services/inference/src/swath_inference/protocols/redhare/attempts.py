"""How often something may be tried."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_REMEMBERED = 10_000


class Attempts:
    """A bucket for each name: so many tries at once, and as many again in each minute.

    Args:
        per_minute: Tries.
        clock: Seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._rate = per_minute / 60.0
        self._clock = clock
        # What is left, and when that was. Whoever has tried for the longest time not is forgotten first.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a try; return 0, or the seconds to wait for one where none is left, and none is taken."""
        now = self._clock()
        left, at = self._left.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1.0 else (1.0 - left) / self._rate
        self._left[name] = (left - 1.0 if not wait else left, now)
        self._left.move_to_end(name)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return wait

    def forget(self, name: str) -> None:
        """Give a name all its tries again."""
        self._left.pop(name, None)
