"""Work that is done again when it failed: which errors, how soon, for how long. On tenacity; knows nothing of gRPC.

    _RETRY = Retry(on=Unavailable, initial_s=0.25, max_s=5.0, timeout_s=120.0)
    artifact = _RETRY.call(lambda: store.get(digest))
    row = await _RETRY.call_async(lambda: read(session_id))

A loop that does more than to call one function, such as one around a stream, asks a `Backoff` how long to wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_exponential

from swath.errors import Unavailable

T = TypeVar("T")

Log = Callable[[BaseException, int], None]
"""Called with an error and the number of the try that raised it (1, 2, ...), before the pause that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which errors are retried, with exponential backoff.

    Attributes:
        on: Errors after which the work is tried again; all others are raised at once.
        initial_s: Longest pause before the second try, in seconds.
        max_s: Longest pause, in seconds.
        multiplier: Growth of the pause with each try.
        jitter: Share of each pause that is left to chance, 0 to 1, so that those who failed together do not come back
            together.
        timeout_s: Seconds after the begin of the first try in which others begin; None sets no limit.
        attempts: Most tries, the first included; None sets no limit.
        delay_of: Gives the seconds that an error itself asks to wait, if it does; they replace the pause.
    """

    on: type[Exception] | tuple[type[Exception], ...]
    initial_s: float = 0.1
    max_s: float = 5.0
    multiplier: float = 2.0
    jitter: float = 0.5
    timeout_s: float | None = None
    attempts: int | None = None
    delay_of: Callable[[BaseException], float | None] | None = None

    def call(self, work: Callable[[], T], *, log: Log | None = None) -> T:
        """Do work until it succeeds, and return its result. Blocks.

        Args:
            work: May be repeated.
            log: Told of each try that is followed by another.

        Raises:
            Exception: What the last try raised.
        """
        return Retrying(**self._strategy(log))(work)

    async def call_async(self, work: Callable[[], Awaitable[T]], *, log: Log | None = None) -> T:
        """As `call`, for work that is awaited."""

        async def attempt() -> T:
            return await work()

        return await AsyncRetrying(**self._strategy(log))(attempt)

    def pause_s(self, state: RetryCallState) -> float:
        """Return the seconds between a try that failed and the next one."""
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None and self.delay_of is not None and (wanted := self.delay_of(error)):
            return wanted
        longest = wait_exponential(multiplier=self.initial_s, max=self.max_s, exp_base=self.multiplier)(state)
        return longest * (1.0 - self.jitter * random.random())

    def is_over(self, state: RetryCallState) -> bool:
        """Whether there is no other try after the present one, given the pause that would precede it."""
        if self.attempts is not None and state.attempt_number >= self.attempts:
            return True
        return self.timeout_s is not None and (state.seconds_since_start or 0.0) + state.upcoming_sleep > self.timeout_s

    def _strategy(self, log: Log | None) -> dict[str, Any]:
        def before_sleep(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            if log is not None and error is not None:
                log(error, state.attempt_number)

        return {
            "retry": retry_if_exception_type(self.on),
            "wait": self.pause_s,
            "stop": self.is_over,
            "before_sleep": before_sleep,
            "reraise": True,
        }


class Backoff:
    """How long a loop of one's own waits after each failure, as a `Retry` has it.

    Args:
        retry: The rule. Its time limit and its tries count from the first failure in a row.
        clock: Seconds that only grow.
    """

    def __init__(self, retry: Retry, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry = retry
        self._clock = clock
        self._state: RetryCallState | None = None

    def failed(self, error: Exception) -> float:
        """Return the seconds to wait before the next try.

        Raises:
            Exception: The error itself, where it is not one to try again after or the limits are reached.
        """
        if not isinstance(error, self._retry.on):
            raise error
        now = self._clock()
        if self._state is None:
            self._state = RetryCallState(Retrying(), None, (), {})
            self._state.start_time = now
        state = self._state
        state.set_exception((type(error), error, error.__traceback__))
        state.outcome_timestamp = now
        state.upcoming_sleep = self._retry.pause_s(state)
        if self._retry.is_over(state):
            raise error
        state.prepare_for_next_attempt()
        return state.upcoming_sleep

    def succeeded(self) -> None:
        """Begin anew: the next failure is the first in a row."""
        self._state = None


def retry_while_unavailable(work: Callable[[], T], *, timeout_s: float = 120.0) -> T:
    """Do work that may be repeated until nothing that it needs is away, and return its result. Blocks.

    Args:
        work: The work.
        timeout_s: Seconds after which it is not begun any more.

    Raises:
        Unavailable: Something was away for all of that time.
    """
    return Retry(on=Unavailable, initial_s=0.25, timeout_s=timeout_s).call(work)
