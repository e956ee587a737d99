"""A picture of a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from swath.client.bench.measure import Run
from swath.client.data.packages import optional_module


def draw(runs: Sequence[Run], title: str, path: Path) -> None:
    """Draw latencies against the share of calls that are as fast, and throughput against concurrency.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    figures = optional_module("matplotlib.figure", extra="plots", purpose="drawing a measurement")
    figure = figures.Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, run in enumerate(runs):
        colour = f"C{index}"
        for samples, line, label in ((run.calls, "-", f"{run.concurrency} at a time"), (run.floor, ":", None)):
            if samples.latencies:
                found = np.sort(samples.latencies) * 1e3
                left.plot(np.arange(1, found.size + 1) / found.size * 100, found, line, color=colour, label=label)
    left.set(xlabel="calls that are as fast, %", ylabel="latency, ms", yscale="log")
    left.plot([], [], ":", color="grey", label="floor")
    left.legend()
    for name, line in (("calls", "o-"), ("floor", "o:")):
        points = [(run.concurrency, getattr(run, name).figures()["calls_per_s"] or 0.0) for run in runs]
        right.plot(*zip(*points, strict=True), line, color="C0" if name == "calls" else "grey", label=name)
    right.set(xlabel="calls at a time", ylabel="calls per second", yscale="log")
    right.set_xticks([run.concurrency for run in runs])
    right.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=150)
