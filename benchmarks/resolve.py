"""Concurrent ResolveConfig: right answers, and calls per second against one client alone."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from benchmarks.harness import Row, server, timed
from swath.client import build_stub, create_session_with_search_paths
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

CLIENTS = 8
CALLS = 25


def measure() -> list[Row]:
    with server() as running:
        ask(running.target, 0)
        alone = CALLS / timed(lambda: ask(running.target, 0))
        right, together = ask_at_once(running.target)
    detail = f"{together:.0f} calls/s, {together / alone:.2f}x of one client alone"
    every = CLIENTS * CALLS
    return [
        Row(
            f"{CLIENTS} clients x {CALLS} ResolveConfig", f"{right} right  ({detail})", f"{every} right", right == every
        )
    ]


def ask(target: str, number: int, paths: list[str] | None = None) -> int:
    """Return how many of one client's answers are right: its own override came back.

    Args:
        target: Server to ask.
        number: Of the client, from 0: no two ask for the same.
        paths: Search paths of its session, where they are not our own.
    """
    stub = build_stub(target)
    session = create_session_with_search_paths(stub, paths)
    right = 0
    for index in range(CALLS):
        size = 1 + number * CALLS + index
        request = pb.ResolveConfigRequest(
            session_id=session,
            config_type="trainrun",
            path="trainrun/deep_svdd",
            overrides=[f"data.batch_size={size}"],
        )
        try:
            answer = json.loads(stub.ResolveConfig(request).config_bytes)
        except grpc.RpcError:
            continue
        right += answer["data"]["batch_size"] == size
    return right


def ask_at_once(target: str, paths: list[str] | None = None) -> tuple[int, float]:
    """Have all clients ask at the same time; return how many answers are right and the right answers per second."""
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        right = sum(pool.map(lambda number: ask(target, number, paths), range(CLIENTS)))
    return right, right / (time.perf_counter() - start)
