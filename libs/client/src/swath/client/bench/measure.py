"""A measurement: calls and floor in turns, at each concurrency."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from swath.client.bench.load import PERCENTILES, Samples, drive

Cpu = Callable[[], float | None]
_WARM_UP = 3


@dataclass(frozen=True)
class Run:
    """What was measured at one concurrency.

    Attributes:
        concurrency: Calls at a time.
        calls: Of what was to be measured.
        floor: Of the floor.
    """

    concurrency: int
    calls: Samples
    floor: Samples

    def report(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        calls, floor = self.calls.figures(), self.floor.figures()
        return {"concurrency": self.concurrency, **calls, "floor": floor, "over_floor": _ratios(calls, floor)}


async def measure(
    call: Callable[[], Awaitable[object]],
    floor: Callable[[], Awaitable[object]],
    *,
    concurrencies: Sequence[int],
    seconds: float,
    rounds: int,
    cpu: Cpu = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
    told: Callable[[int], None] = lambda concurrency: None,
) -> list[Run]:
    """Measure calls and their floor in turns, so that what else the machine does meets both.

    Args:
        call: Makes a call.
        floor: Makes a call of the floor.
        concurrencies: Calls at a time; each is measured by itself.
        seconds: Of each of both, in all.
        rounds: How many turns the seconds are in.
        cpu: Seconds of processors that the server has spent.
        clock: Seconds.
        told: Called before each concurrency.

    Raises:
        CallError: A call fails before anything is measured.
    """
    # Channels connect, models load, caches fill.
    for _ in range(_WARM_UP):
        await floor()
        await call()
    runs = []
    for concurrency in concurrencies:
        told(concurrency)
        run = Run(concurrency, Samples(), Samples())
        for _ in range(rounds):
            for make, samples in ((floor, run.floor), (call, run.calls)):
                before = cpu()
                found = await drive(make, concurrency=concurrency, seconds=seconds / rounds, clock=clock)
                after = cpu()
                found.cpu = None if before is None or after is None else after - before
                samples.add(found)
        runs.append(run)
    return runs


def _ratios(calls: dict[str, Any], floor: dict[str, Any]) -> dict[str, float | None]:
    """Return how many times as much as the floor each latency is, and what part of its throughput is reached."""
    found = {}
    for name in (*(f"p{percent:g}" for percent in PERCENTILES), "mean"):
        mine, least = calls["latency_ms"][name], floor["latency_ms"][name]
        found[name] = None if not mine or not least else mine / least
    mine, most = calls["calls_per_s"], floor["calls_per_s"]
    found["calls_per_s"] = mine / most if mine and most else None
    return found
