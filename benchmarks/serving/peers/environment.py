"""What a peer's server is told by the benchmark that starts it, as variables of its environment."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.serving.models import Bare

PORT = int(os.environ["BENCH_PORT"])
SECOND_PORT = int(os.environ["BENCH_SECOND_PORT"])
FOLDER = Path(os.environ["BENCH_FOLDER"])
"""The server's own folder, for files that it needs."""
BATCH = 64
"""Calls that are merged at most."""
BATCH_DELAY_S = 0.001
"""How long a call waits for others."""


def bare() -> Bare:
    """Return the models."""
    return Bare(Path(os.environ["BENCH_WEIGHTS"]))
