"""Concurrent ResolveConfig: right answers, and calls a second against one client alone."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.harness import Row, server
from swath.client import build_stub, create_session_with_search_paths
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

CLIENTS = 8
CALLS = 25


def measure() -> list[Row]:
    with server() as running:
        _ask(running.target, 0)
        start = time.perf_counter()
        _ask(running.target, 0)
        alone = CALLS / (time.perf_counter() - start)
        start = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            right = sum(pool.map(lambda number: _ask(running.target, number), range(CLIENTS)))
        together = CLIENTS * CALLS / (time.perf_counter() - start)
    detail = f"{together:.0f} calls/s, {together / alone:.2f}x of one client alone"
    every = CLIENTS * CALLS
    return [
        Row(
            f"{CLIENTS} clients x {CALLS} ResolveConfig", f"{right} right  ({detail})", f"{every} right", right == every
        )
    ]


def _ask(target: str, number: int) -> int:
    """Return how many of one client's answers are right."""
    stub = build_stub(target)
    session = create_session_with_search_paths(stub)
    right = 0
    for index in range(CALLS):
        size = 1 + number * CALLS + index
        request = pb.ResolveConfigRequest(
            session_id=session,
            config_type="trainrun",
            path="trainrun/deep_svdd",
            overrides=[f"data.batch_size={size}"],
        )
        right += f'"batch_size": {size},'.encode() in stub.ResolveConfig(request).config_bytes
    return right
