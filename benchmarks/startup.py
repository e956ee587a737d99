"""How long `swath serve` takes to listen, and to have everything SERVING."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.harness import Row, limit_row
from swath.api import CUVIS
from swath_standalone.process import ServerProcess


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder:
        process = ServerProcess(Path(folder))
        start = time.perf_counter()
        process.start(wait_for=None)
        listening = time.perf_counter() - start
        process.wait(CUVIS)
        serving = time.perf_counter() - start
        process.stop()
    return [
        limit_row("start until it listens", listening, 2, "s"),
        limit_row("start until everything is SERVING", serving, 8, "s"),
    ]
