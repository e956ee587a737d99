"""What is measured of a side."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from benchmarks.apps.side import Kind, Side
from benchmarks.serving import ghz

_LARGE = 10 * 1000 * 1000
_METADATA = ("--metadata", '{"application": "bench"}')

Figures = dict[str, float]


def measure(kind: Kind, folder: Path, seconds: float, say: Callable[[str], None]) -> Figures:
    """Return all figures of a side, by their names in `report`.

    Args:
        kind: The side.
        folder: For its files.
        seconds: How long each kind of call is made.
        say: Told what goes on.
    """
    figures: Figures = {}
    with Side(kind, folder) as side:
        figures["up_s"] = side.until_listed(2)
        say(f"{kind.name} is up after {figures['up_s']:.1f} s")
        # Before its first call: that would start it.
        figures["zero_s"] = side.until_answered("sleeper")
        memory, figures["processes"] = side.memory()
        figures["memory_mb"] = memory / 1e6
        alone = _ghz(side, folder, "Tiny", 1, seconds)
        figures["tiny_ms"] = alone.p50_ms
        figures["rate_16"] = _ghz(side, folder, "Tiny", 16, seconds).rate
        figures["large_ms"] = _ghz(side, folder, "Large", 1, seconds).p50_ms
        figures["messages"] = _stream(side, seconds)
        figures["killed_s"] = _killed(side)
        say(f"{kind.name}: {figures}")
    with Side(kind, folder, driver=True) as side:
        side.until_answered()
        figures["failed"], figures["slowest_s"] = _replaced(side, seconds)
    return figures


def _ghz(side: Side, folder: Path, method: str, concurrency: int, seconds: float) -> ghz.Figures:
    if method == "Large":
        message = side.messages["swath.bench.apps.v1.Blob"](data=b"\x5a" * _LARGE)
    else:
        message = side.messages["swath.bench.apps.v1.Number"](value=1)
    request = folder / f"{method}.request"
    request.write_bytes(message.SerializeToString())
    for warm in (0.5, seconds):
        command = ghz.command(
            f"127.0.0.1:{side.port}",
            method=f"swath.bench.apps.v1.Bench.{method}",
            protoset=side.messages.protoset,
            request=request,
            concurrency=concurrency,
            seconds=warm,
        )
        figures = ghz.run([*command[:-1], *_METADATA, command[-1]], warm) if warm == seconds else None
        if figures is None:
            ghz.run([*command[:-1], *_METADATA, command[-1]], warm)
        else:
            return figures
    raise AssertionError("the second turn returns")


def _stream(side: Side, seconds: float) -> float:
    """Return messages per second of one stream."""
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not rates:
        begin = time.perf_counter()
        messages = side.count(2000)
        assert messages == 2000
        rates.append(messages / (time.perf_counter() - begin))
    return statistics.median(rates)


def _killed(side: Side) -> float:
    """Have the replica end itself; return the seconds until a call is answered."""
    try:
        side.call("Exit", 1)
    except grpc.RpcError:
        return side.until_answered()
    raise AssertionError("the call of a process that has ended is answered")


def _replaced(side: Side, seconds: float) -> tuple[int, float]:
    """Replace the application while it is called; return the calls that failed, and the longest one's seconds."""
    ended = threading.Event()
    failures: list[str] = []
    longest = [0.0]

    def work() -> None:
        while not ended.is_set():
            begin = time.perf_counter()
            try:
                side.call("Tiny", 1)
            except grpc.RpcError as error:
                failures.append(str(error.code()))  # pyright: ignore[reportAttributeAccessIssue]
            longest[0] = max(longest[0], time.perf_counter() - begin)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    time.sleep(1)
    before = side.deployed()
    side.replace()
    deadline = time.monotonic() + 90
    while side.deployed() == before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{side.kind.name} has not replaced the application")
        time.sleep(0.05)
    time.sleep(seconds)  # what the old replicas have left
    ended.set()
    for each in threads:
        each.join()
    return len(failures), longest[0]
