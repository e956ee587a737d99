"""How many replicas a deployment wants, by how many calls are there."""

from __future__ import annotations

import math
from collections import deque

from swath.serve.config import AutoscalingConfig

_AGGREGATES = {"mean": lambda values: sum(values) / len(values), "max": max, "min": min}


class Scaler:
    """Averages calls and waits out the delays of a configuration.

    Args:
        config: How it scales.
    """

    def __init__(self, config: AutoscalingConfig) -> None:
        self.config = config
        self._seen: deque[tuple[float, int]] = deque()
        self._more_since: float | None = None
        self._fewer_since: float | None = None

    @property
    def interval_s(self) -> float:
        """Seconds between two looks: fine enough for the shortest period of the configuration."""
        config = self.config
        periods = [config.look_back_period_s, config.upscale_delay_s, config.downscale_delay_s]
        return min(1.0, max(0.05, min(each for each in (*periods, 10.0) if each > 0) / 5))

    def wanted(self, now: float, calls: int, replicas: int) -> int:
        """Return the replicas to have.

        Args:
            now: Seconds of a clock that never goes back.
            calls: Calls that run or wait now.
            replicas: Replicas to have so far.
        """
        config = self.config
        self._seen.append((now, calls))
        while self._seen and self._seen[0][0] < now - config.look_back_period_s:
            self._seen.popleft()
        if replicas == 0:
            return max(config.min_replicas, min(1, calls))
        desired = self._desired([each for _, each in self._seen], replicas)
        if desired > replicas:
            self._fewer_since = None
            self._more_since = now if self._more_since is None else self._more_since
            if now - self._more_since >= config.upscale_delay_s:
                self._more_since = None
                return desired
        elif desired < replicas:
            self._more_since = None
            self._fewer_since = now if self._fewer_since is None else self._fewer_since
            waited = now - self._fewer_since
            last_s = config.downscale_delay_s
            if config.downscale_to_zero_delay_s is not None:
                last_s = config.downscale_to_zero_delay_s
            if desired == 0 and waited >= last_s and calls == 0:
                self._fewer_since = None
                return 0
            if waited >= config.downscale_delay_s and max(1, desired) < replicas:
                return max(1, desired)
        else:
            self._more_since = self._fewer_since = None
        return replicas

    def _desired(self, calls: list[int], replicas: int) -> int:
        config = self.config
        total = _AGGREGATES[config.aggregation_function](calls)
        ratio = total / (config.target_ongoing_requests * replicas)
        factor = config.upscaling_factor if ratio > 1 else config.downscaling_factor
        scaled = replicas * (1 + (ratio - 1) * (1 if factor is None else factor))
        # What is left of a mean by rounding is no call.
        desired = math.ceil(scaled - 1e-9) if total > 0 else math.floor(scaled)
        return max(config.min_replicas, min(config.max_replicas, desired))
