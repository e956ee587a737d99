"""When the next replica may start after others have failed, and when to give up."""

from __future__ import annotations

import time

from swath.serve.config import DeploymentOptions

_TRIES_PER_REPLICA = 3
_FIRST_DELAY_S = 0.1
_CONSTRUCTOR_DELAY_S = 1.0
_RESTART_DELAY_S = 10.0
_SETTLED_S = 10.0
"""Seconds that a replica has to run for its death to count as the first one again."""


class Restarts:
    """Counts failures in a row; each one makes the next start wait longer.

    Attributes:
        failures: Constructors in a row that have failed.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._deaths = 0
        self._not_before = 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until the next replica may start, 0 or below for none."""
        return self._not_before - time.monotonic()

    def succeeded(self) -> None:
        """Take note that a constructor has returned."""
        self.failures = 0

    def failed_to_start(self, options: DeploymentOptions, replicas: int) -> bool:
        """Take note of a constructor that has failed; return whether there is another try.

        Args:
            options: They bound the tries, as Ray Serve does: at most three per replica.
            replicas: Replicas that there are to be.
        """
        self.failures += 1
        self._delay(self.failures, _CONSTRUCTOR_DELAY_S)
        return self.failures < min(options.max_constructor_retry_count, _TRIES_PER_REPLICA * max(1, replicas))

    def died(self, ran_s: float) -> None:
        """Take note of a replica that has died after some seconds. The first one is replaced at once."""
        self._deaths = self._deaths + 1 if ran_s < _SETTLED_S else 1
        if self._deaths > 1:
            self._delay(self._deaths - 1, _RESTART_DELAY_S)

    def _delay(self, failures: int, most_s: float) -> None:
        self._not_before = time.monotonic() + min(most_s, _FIRST_DELAY_S * 2.0 ** (min(failures, 20) - 1))
