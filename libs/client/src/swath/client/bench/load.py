"""A closed loop of calls, and what it measures."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swath.client.errors import CallError, LocalError

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
_HOPELESS = 20
"""Failures in a row, without a call that is answered, after which nobody goes on."""


@dataclass
class Samples:
    """Calls that were made.

    Attributes:
        latencies: Seconds of each call that was answered.
        failures: Calls that were not, by status.
        elapsed: Seconds in which they were made.
        cpu: Seconds of processors that the server spent meanwhile; None where nobody knows.
        own_cpu: Seconds of processors that this process spent.
    """

    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0
    cpu: float | None = None
    own_cpu: float = 0.0

    def add(self, other: Samples) -> None:
        """Take over what another one has."""
        self.latencies += other.latencies
        self.failures += other.failures
        self.elapsed += other.elapsed
        self.own_cpu += other.own_cpu
        if other.cpu is not None:
            self.cpu = (self.cpu or 0.0) + other.cpu

    @property
    def made(self) -> int:
        """How many calls were made."""
        return len(self.latencies) + sum(self.failures.values())

    def figures(self) -> dict[str, Any]:
        """Return what they say: counts, calls per second, latencies in ms, milliseconds of processors per call.

        Percentiles are between the two latencies next to them, in proportion (as numpy's default). All of them are None
        where no call was answered.
        """
        found = np.array(self.latencies) * 1e3
        some = found.size > 0
        latency = {f"p{percent:g}": float(np.percentile(found, percent)) if some else None for percent in PERCENTILES}
        ends = {name: float(getattr(found, name)()) if some else None for name in ("mean", "min", "max")}
        return {
            "calls": len(self.latencies),
            "failures": dict(sorted(self.failures.items())),
            "seconds": self.elapsed,
            "calls_per_s": len(self.latencies) / self.elapsed if self.elapsed else None,
            "latency_ms": {**latency, **ends},
            "server_cpu_ms_per_call": None if self.cpu is None or not self.made else self.cpu * 1e3 / self.made,
            "client_cpu_share": self.own_cpu / self.elapsed if self.elapsed else None,
        }


async def drive(
    call: Callable[[], Awaitable[object]],
    *,
    concurrency: int,
    seconds: float,
    most: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
    own_cpu: Callable[[], float] = time.process_time,
) -> Samples:
    """Make calls, so many at a time: each one as soon as one before has been answered.

    Args:
        call: Makes one.
        concurrency: Calls at a time.
        seconds: None begins after that.
        most: No more than so many.
        clock: Seconds.
        own_cpu: Seconds of processors that this process has spent.

    Raises:
        CallError: Twenty calls failed in a row, and none was answered.
    """
    samples, began, spent, begun = Samples(), clock(), own_cpu(), 0

    async def one_after_the_other() -> None:
        nonlocal begun
        while clock() - began < seconds and (most is None or begun < most):
            begun += 1
            started = clock()
            try:
                await call()
            except CallError as error:
                samples.failures[error.code] += 1
                if not samples.latencies and samples.failures.total() >= _HOPELESS:
                    raise
            else:
                samples.latencies.append(clock() - started)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(one_after_the_other())
    except* (CallError, LocalError) as failed:
        raise failed.exceptions[0] from None
    samples.elapsed, samples.own_cpu = clock() - began, own_cpu() - spent
    return samples
