"""How soon training says something."""

from __future__ import annotations

import statistics
import time

from benchmarks.harness import Row, limit_row, server
from swath.client import Client

RUNS = 5


def measure() -> list[Row]:
    first, whole = [], []
    with server() as running, Client(running.target) as client:
        for _ in range(RUNS):
            with client.session() as session:
                session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
                start = time.perf_counter()
                stream = iter(session.train("statistical"))
                next(stream)
                first.append(time.perf_counter() - start)
                for _ in stream:
                    pass
                whole.append(time.perf_counter() - start)
    detail = f"the whole statistical run: {statistics.median(whole):.2f} s"
    return [limit_row("Train until the worker's first event", statistics.median(first), 1, "s", detail)]
