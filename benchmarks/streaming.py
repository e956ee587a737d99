"""A cube of 64 MB in pieces against the same cube in one message, and what an idle stream costs the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Row, interleaved, limit_row, ratio_row, scene, server
from swath.client import Client

_IDLE = 100


def measure() -> list[Row]:
    cube, _ = scene()
    large = np.ascontiguousarray(np.tile(cube, (1, 9, 1, 1))[:, :888])  # 64.02 MiB
    with server() as running, Client(running.target) as client, client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass

        def whole() -> Any:
            return session.infer(cube=large, outputs=["rx.scores"])

        def pieces() -> Any:
            return session.infer_cube(large, outputs=["rx.scores"])

        same = whole()["rx.scores"].tobytes() == pieces()["rx.scores"].tobytes()
        unary, streamed = interleaved(whole, pieces, runs=15, warm_up=2)
        detail = f"{streamed * 1e3:.0f} ms; one message {unary * 1e3:.0f} ms; outputs {'equal' if same else 'DIFFER'}"
        with client.stream(session):
            threads, memory = _status(running.pid, "Threads"), _status(running.pid, "VmRSS")
            streams = [client.stream(session) for _ in range(_IDLE)]
            more_threads = _status(running.pid, "Threads") - threads
            more_memory = (_status(running.pid, "VmRSS") - memory) / 1024
            for each in streams:
                each.close()
    return [
        ratio_row("InferCube, 64 MB in, against one message", streamed / unary, 0.55, detail),
        limit_row(f"{_IDLE} idle streams, memory of the server", more_memory, 5, "MiB"),
        limit_row(f"{_IDLE} idle streams, threads of the server", more_threads, 1, "threads"),
    ]


def _status(pid: int | None, key: str) -> int:
    """Return a number of a process's status: threads, or KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
