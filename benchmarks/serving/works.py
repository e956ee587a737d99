"""What is asked of every server: a model, an input, and how many calls at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.harness import scene

LARGE = (1, 256, 512, 128)
"""64 MiB of float32."""
TOLERANCE = 1e-3
"""How far an answer may be from the bare model's, as a share of the largest value of that."""


@dataclass(frozen=True)
class Work:
    """Calls of one kind.

    Attributes:
        name: For arguments and files.
        title: For tables.
        model: Which model.
        concurrency: Calls at once.
        seconds: How long they go on in each round.
        floors: Floors that are measured with it.
        shared: Whether the input is in shared memory.
    """

    name: str
    title: str
    model: str
    concurrency: int
    seconds: float
    floors: tuple[str, ...]
    shared: bool = False

    def array(self) -> np.ndarray:
        """Return the input, float32 [B, H, W, C]."""
        return _INPUTS[self.name.partition("@")[0]]()


def _tiny() -> np.ndarray:
    return np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 1, 16, 1)


@cache
def _pixels() -> np.ndarray:
    return _scene()[:, :1, :64] / np.float32(10_000)


@cache
def _scene() -> np.ndarray:
    return scene()[0]


@cache
def _cube() -> np.ndarray:
    return np.random.default_rng(0).random(LARGE, np.float32)


def _scores() -> np.ndarray:
    return _cube().reshape(1, 256, -1, 1)


_INPUTS = {
    "tiny": _tiny,
    "rx": _scene,
    "small-out": _cube,
    "in-out": _scores,
    "mlp": _pixels,
    "shared": _cube,
}
_SMALL = ("echo-aio", "echo-sync", "model-tuned")
_BIG = ("echo-aio", "echo-tuned", "model-tuned")
WORKS = (
    Work("tiny@1", "tiny, [1, 16] affine, concurrency 1", "affine", 1, 1.2, _SMALL),
    Work("tiny@64", "tiny, concurrency 64", "affine", 64, 1.2, _SMALL),
    Work("mlp@64", "MLP over 64 pixels of 189 bands, concurrency 64", "mlp", 64, 1.2, ("model-tuned",)),
    Work("rx@1", "San Diego RX, 7.6 MB in, concurrency 1", "rx", 1, 1.5, (*_BIG, "echo-sync")),
    Work("rx@4", "San Diego RX, concurrency 4", "rx", 4, 1.5, _BIG),
    Work("small-out@1", "64 MiB in, small out", "sample", 1, 2.0, _BIG),
    Work("in-out@1", "64 MiB in and out", "affine", 1, 2.0, _BIG),
    Work("shared@1", "64 MiB in by shared memory, small out", "sample", 1, 1.0, (), shared=True),
)


def wrong(answer: np.ndarray, right: np.ndarray) -> str | None:
    """Return what is wrong with an answer, None if it is the right one within `TOLERANCE`."""
    if answer.shape != right.shape:
        return f"the answer has the shape {list(answer.shape)}, expected {list(right.shape)}"
    if not np.isfinite(answer).all():
        return "the answer holds values that are not finite"
    far = float(np.abs(answer - right).max() / np.abs(right).max())
    return (
        f"the answer is {far:.2g} of the largest value away, at most {TOLERANCE:g} is right"
        if far > TOLERANCE
        else None
    )
