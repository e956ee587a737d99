"""Rows of results, and timing in pairs: A B A B, so that a machine that drifts drifts for both."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

from swath.rpc.server.binding import server_options
from swath.runtime.settings import ServerSettings
from swath_standalone.process import ServerProcess

SCENE = Path(__file__).resolve().parents[1] / "examples" / "data" / "san_diego.npz"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured.
        value: The figure with its unit, as text.
        target: What it is to be, as text; empty where it only informs.
        met: Whether it is; None without a target.
    """

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def bare_server() -> grpc.aio.Server:
    """Return a server of grpc.aio without services, with the channel arguments of ours: the floor."""
    settings = ServerSettings()
    return grpc.aio.server(options=server_options(settings.max_message_bytes, settings.max_metadata_bytes))


def ratio_row(name: str, ratio: float, limit: float, detail: str) -> Row:
    """Return the row of a ratio that is not to exceed a limit."""
    return Row(name, f"{ratio:.2f}x  ({detail})", f"<= {limit:g}x", ratio <= limit)


def limit_row(name: str, value: float, limit: float, unit: str, detail: str = "") -> Row:
    """Return the row of a value that is not to exceed a limit."""
    return Row(name, f"{value:.4g} {unit}" + (f"  ({detail})" if detail else ""), f"< {limit:g} {unit}", value < limit)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], object], runs: int, *, warm_up: int = 2) -> float:
    """Return the median seconds of a call."""
    for _ in range(warm_up):
        work()
    return statistics.median(timed(work) for _ in range(runs))


def interleaved(*works: Callable[[], object], runs: int, warm_up: int = 2) -> list[float]:
    """Return the median seconds of several calls, timed in turn."""
    for _ in range(warm_up):
        for work in works:
            work()
    times = [[timed(work) for work in works] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


@contextmanager
def server() -> Iterator[ServerProcess]:
    """Run a standalone server that has the scene in its workspace."""
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder, ServerProcess(Path(folder)) as running:
        place = running.state / "workspace" / "data"
        place.mkdir(parents=True)
        (place / SCENE.name).write_bytes(SCENE.read_bytes())
        yield running


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return the San Diego cube float32 [1, 100, 100, 189] and its wavelengths int32 [1, 189]."""
    with np.load(SCENE) as arrays:
        return arrays["cube"][None].astype(np.float32), arrays["wavelengths"][None].astype(np.int32)


class InMemory:
    """A data module over batches that are there already, so that loading costs nothing.

    Args:
        batches: Batches of the train split; all splits but that one are empty.
        size: Frames in each.
    """

    splits = ("train",)

    def __init__(self, batches: list[dict[str, Any]], size: int) -> None:
        self._batches = batches
        self._size = size

    def frames(self, split: str) -> int:
        """Return the frames of an epoch."""
        return len(self._batches) * self._size

    def loader(self, split: str, *, epoch: int, start_batch: int = 0, part: object = None) -> Iterable[dict[str, Any]]:
        """Return the batches, in the same order in each epoch, all of them to one process."""
        return iter(self._batches[start_batch:])
