"""The look for invalid pixels on clean cubes: forwards and fits with it, against the same without."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.harness import Row, ratio_row
from swath.documents import parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.roles import Fittable
from swath.engine.ops import statistics as moments
from swath.engine.ops import validity

FRAMES, SIDE, CHANNELS = 2, 128, 189
LIMIT, RUNS = 1.03, 60

_NODES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "global RX": [("RXGlobal", {"num_channels": CHANNELS, "cache_inverse": False})],
    "z-score and Deep SVDD": [
        ("ZScoreNormalizerGlobal", {"num_channels": CHANNELS}),
        ("DeepSVDDProjection", {"in_channels": CHANNELS}),
    ],
    "scaling by frame": [("MinMaxNormalizer", {"use_running_stats": False})],
}
_INFORMS = ("forward of scaling by frame",)
"""Works that read the cube and do little else, so that one more look at it shows."""

_FITS = ("RXGlobal", "ZScoreNormalizerGlobal")


def measure() -> list[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what else the machine does disturbs one thread less
    try:
        return [*map(_forward, _NODES), *map(_fit, _FITS)]
    finally:
        torch.set_num_threads(threads)


def _pipeline(nodes: list[tuple[str, dict[str, Any]]]) -> Pipeline:
    """Return a chain of fitted nodes."""
    document = {
        "nodes": [
            {"name": f"n{index}", "class_name": name, "hparams": hparams} for index, (name, hparams) in enumerate(nodes)
        ],
        "connections": [
            {"source": f"n{index}.outputs.normalized", "target": f"n{index + 1}.inputs.data"}
            for index in range(len(nodes) - 1)
        ],
    }
    pipeline = Pipeline.from_document(parse("pipeline", document))
    for wave in pipeline.fit_waves():
        for name in wave:
            node = pipeline.nodes[name]
            assert isinstance(node, Fittable)
            node.begin_fit()
            node.fit_batch({"data": _cube()})
            node.end_fit()
    return pipeline


def _cube() -> torch.Tensor:
    return torch.randn(FRAMES, SIDE, SIDE, CHANNELS, generator=torch.Generator().manual_seed(0)) + 3


def _compared(name: str, work: Callable[[], object]) -> Row:
    def unlooked() -> None:
        with _without():
            work()

    pairs = [_pair(work, unlooked, first=index % 2 == 0) for index in range(RUNS + 2)][2:]
    # The least of each: what else runs on the machine takes from the memory's bandwidth, and never gives.
    looking, bare = (min(column) for column in zip(*pairs, strict=True))
    detail = f"{looking * 1e3:.2f} ms against {bare * 1e3:.2f} ms of one processor"
    title = f"looking for invalid pixels where there are none: {name}"
    if name in _INFORMS:
        return Row(title, f"{looking / bare:.3f}x  ({detail})")
    return ratio_row(title, looking / bare, LIMIT, detail)


def _pair(work: Callable[[], object], other: Callable[[], object], *, first: bool) -> tuple[float, float]:
    """Return the seconds of a processor that two works take, run in either order."""

    def timed(one: Callable[[], object]) -> float:
        start = time.process_time()
        one()
        return time.process_time() - start

    if first:
        return timed(work), timed(other)
    seconds = timed(other)
    return timed(work), seconds


@contextmanager
def _without() -> Iterator[None]:
    """Take every tensor as clean."""
    with (
        patch.object(validity, "of_batch", lambda batch: None),
        patch.object(validity, "valid_pixels", lambda values: None),
        patch.object(moments, "all_finite", lambda values: True),
    ):
        yield


def _forward(name: str) -> Row:
    pipeline, batch = _pipeline(_NODES[name]), {"data": _cube()}

    def forward() -> None:
        with torch.inference_mode():
            pipeline(batch)

    return _compared(f"forward of {name}", forward)


def _fit(name: str) -> Row:
    node, batch = _pipeline([(name, {"num_channels": CHANNELS})]).nodes["n0"], {"data": _cube()}
    assert isinstance(node, Fittable)

    def fit() -> None:
        node.begin_fit()
        node.fit_batch(batch)

    return _compared(f"fit of {name}", fit)
