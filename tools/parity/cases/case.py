"""One comparison of a node, and inputs for comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Inputs = Mapping[str, Any]
"""Values by port: arrays, or lists of them for variadic ports, strings and plain data."""


@dataclass(frozen=True)
class Case:
    """A node, its arguments and its inputs.

    Attributes:
        node: Its class below ``cuvis_ai.node``.
        calls: Inputs of each forward, one after the other on the same node.
        hparams: Constructor arguments. ``{folder}`` in a string means the folder of the case.
        fit: Batches that a fitted node learns from.
        stage: Stage of the forwards.
        prepare: Writes the files that the node reads into the folder.
        unlike: Outputs that are not compared, with the reason; ``*`` means all outputs.
        why: Why the numbers differ, if they do on purpose.
        exact: The results of the formula for the fit and the calls in float64, if the reference's fit cannot run in it.
    """

    node: str
    calls: Sequence[Inputs]
    hparams: Mapping[str, Any] = field(default_factory=dict)
    fit: Sequence[Inputs] = ()
    stage: str = "inference"
    prepare: Callable[[Path], None] | None = None
    unlike: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    exact: Callable[[Case], list[dict[str, Any]]] | None = None

    @property
    def class_name(self) -> str:
        """The bare name of the class."""
        return self.node.rpartition(".")[2]


SHAPES = ((1, 16, 12), (3, 7, 9))
"""Frames, height and width of the inputs of most cases."""
BANDS = 61
WAVELENGTHS = np.arange(430, 430 + 8 * BANDS, 8, dtype=np.int32)


def rng(seed: int) -> np.random.Generator:
    """Return reproducible random numbers."""
    return np.random.default_rng(seed)


def cube(shape: Sequence[int] = SHAPES[0], bands: int = BANDS, *, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Return smooth positive spectra with noise, float32 ``[B, H, W, bands]``, of about 0.1 to 1.5 times the scale."""
    random = rng(seed)
    axis = np.linspace(0, 1, bands)
    phase, height = random.uniform(0, 6, (*shape, 1)), random.uniform(0.3, 1.0, (*shape, 1))
    spectra = height * (1 + 0.4 * np.sin(phase + 7 * axis)) + random.normal(0, 0.02, (*shape, bands))
    return (scale * np.clip(spectra, 0.01, None)).astype(np.float32)


def numbers(shape: Sequence[int], *, seed: int = 0, low: float = -3.0, high: float = 3.0) -> np.ndarray:
    """Return evenly spread numbers, float32."""
    return rng(seed).uniform(low, high, tuple(shape)).astype(np.float32)


def flags(shape: Sequence[int], *, seed: int = 0, share: float = 0.3) -> np.ndarray:
    """Return flags of which a share is set."""
    return rng(seed).random(tuple(shape)) < share


def labels(shape: Sequence[int], count: int, *, seed: int = 0, dtype: type = np.int32) -> np.ndarray:
    """Return whole numbers from 0 to below a count."""
    return rng(seed).integers(0, count, tuple(shape)).astype(dtype)


def blobs(shape: Sequence[int] = (1, 24, 30), *, dtype: type = np.int32) -> np.ndarray:
    """Return frames with three separate objects, labelled 1 to 3, ``[B, H, W]``."""
    frames = np.zeros(tuple(shape), dtype=dtype)
    frames[:, 2:8, 3:11] = 1
    frames[:, 12:20, 4:9] = 2
    frames[:, 10:15, 18:27] = 3
    return frames


def each(make: Callable[[tuple[int, int, int], int], Inputs]) -> list[Inputs]:
    """Return inputs for each of `SHAPES`, made from the shape and a seed."""
    return [make(shape, seed) for seed, shape in enumerate(SHAPES)]
