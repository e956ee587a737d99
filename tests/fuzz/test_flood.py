"""Thousands of malformed requests to the protocols over published models: none harms the server, or who comes after.

`make fuzz` sends a million, and says what was answered after every two thousand (`pytest -s` shows it).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from swath_standalone.process import ServerProcess
from swath_suite.process import descendants
from swath_suite.suite import Suite

from .flood import Answered, flood
from .good import Shop, opened

REQUESTS = int(os.environ.get("SWATH_FUZZ_REQUESTS", "1500"))
SEED = int(os.environ.get("SWATH_FUZZ_SEED", "0"))
_BATCH = 2000
_GROWTH = 192 << 20
"""Bytes that a server may take beside what it has after the first requests: what is kept for speed has bounds."""


@pytest.mark.timeout(14_400)
def test_one_process_bears_a_flood(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "state") as server:
        with opened(server.target) as shop:
            pid = server.pid
            answered = _flooded(server.target, shop, REQUESTS * 4 // 5, lambda: [pid])
            _assert_borne(answered)
        assert "Traceback" not in server.log.read_text(), "an exception that nobody expected is in the server's log"
        assert server.stop() == 0


@pytest.mark.timeout(14_400)
def test_a_suite_bears_a_flood_through_its_gateway(suite: Suite) -> None:
    processes = {name: each.pid for name, each in suite.processes.items()}
    with opened(suite.target) as shop:
        answered = _flooded(suite.target, shop, REQUESTS // 5, processes.values)
    _assert_borne(answered)
    assert all(each.alive for each in suite.processes.values())


def _flooded(target: str, shop: Shop, requests: int, pids: Callable[[], Iterable[int]]) -> Answered:
    """Send requests in batches, after each of which the server has to be as it was."""
    begun, answered = time.monotonic(), Answered()
    first = dict[int, int]()
    while answered.requests < requests:
        batch = min(_BATCH, requests - answered.requests)
        answered.add(flood(target, shop.good(), batch, seed=SEED + answered.requests))
        shop.restore()
        shop.right()
        memory = {pid: _memory(pid) for pid in pids()}
        first = first or memory
        for pid, size in memory.items():
            if size > first[pid] + _GROWTH:
                answered.faults.append(
                    f"process {pid} has {size >> 20} MiB after {answered.requests} requests, "
                    f"{first[pid] >> 20} MiB after the first ones"
                )
        print(
            f"{answered.requests} requests in {time.monotonic() - begun:.0f} s, {len(answered.faults)} faults, "
            f"{sum(memory.values()) >> 20} MiB; {dict(answered.codes.most_common())}",
            flush=True,
        )
    return answered


def _assert_borne(answered: Answered) -> None:
    assert not answered.faults, f"{len(answered.faults)} faults; the first ones:\n" + "\n".join(answered.faults[:10])
    # Some were right all the same, and most were not.
    assert answered.codes["OK"]
    assert answered.codes["INVALID_ARGUMENT"] > answered.codes.total() // 10


def _memory(pid: int) -> int:
    """Return the bytes of memory that a process has, with all that it has started."""
    return sum(_resident(each) for each in (pid, *descendants(pid)))


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmRSS"].split()[0]) << 10 if "VmRSS" in lines else 0
