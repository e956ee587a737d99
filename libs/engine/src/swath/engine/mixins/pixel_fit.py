"""Fits whose statistics get their sizes from the data.

Fittable
└── SizedFit        statistics without elements until a fit
    └── PixelFit    learns from a sample of the training pixels that is in memory at once
"""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.graph.ports import Port, ports
from swath.engine.graph.roles import Fittable
from swath.engine.hparams import whole
from swath.errors import DataInvalid

log = logging.getLogger(__name__)

Pixels = NDArray[np.float32]

_HELD_VALUES = 2**28
"""Values that a sample holds before it is thinned out: 1 GiB in float32."""


def sizes(**dimensions: tuple[int | str, ...]) -> Mapping[str, tuple[int | str, ...]]:
    """Return a read-only mapping for `SizedFit.statistics`."""
    return MappingProxyType(dimensions)


MASKED_CUBE = ports(
    cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"),
    mask=Port(torch.int32, (-1, -1, -1), optional=True, description="Above 0 where the fit looks [B, H, W]"),
)
"""Inputs of a `PixelFit` that can leave pixels out of the fit."""


class PixelSample:
    """A random sample of the rows of a pass.

    As long as all rows fit into memory, the sample is the start of a random permutation of them. Beyond that, each row
    gets a random key and those with the lowest keys stay, so memory is bounded however long the pass is.

    Source: J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11(1), 1985.

    Args:
        size: Maximum rows of the sample; all if 0.
        seed: Seed of the sample.
        held_values: Values that are held before the rows are thinned out.
    """

    def __init__(self, size: int, seed: int, held_values: int = _HELD_VALUES) -> None:
        self._size = size
        self._seed = seed
        self._held_values = held_values
        self._generator = torch.Generator().manual_seed(seed)
        self._chunks: list[Tensor] = []
        self._keys: Tensor | None = None
        self._count = 0

    def add(self, rows: Tensor) -> None:
        """Add rows ``[N, C]``; they are held on the host in float32."""
        # A copy: the rows may be a view of a batch that is overwritten.
        self._chunks.append(torch.empty(rows.shape).copy_(rows.detach()))
        self._count += rows.shape[0]
        if self._size and self._count > self._size and self._count * rows.shape[1] > self._held_values:
            self._thin()

    def draw(self) -> Tensor:
        """Return the sample, ``[N, C]`` in float32."""
        if self._keys is not None:
            self._thin()
        rows = torch.cat(self._chunks) if self._chunks else torch.zeros(0, 0)
        if not self._size or self._count <= self._size:
            return rows
        order = torch.randperm(self._count, generator=torch.Generator().manual_seed(self._seed))
        return rows[order[: self._size]]

    def _thin(self) -> None:
        rows = torch.cat(self._chunks)
        former = torch.zeros(0, dtype=torch.float64) if self._keys is None else self._keys
        fresh = torch.rand(self._count - len(former), generator=self._generator, dtype=torch.float64)
        keys = torch.cat([former, fresh])
        kept = keys.topk(min(self._size, self._count), largest=False).indices.sort().values
        self._chunks, self._keys, self._count = [rows[kept]], keys[kept], len(kept)


class SizedFit(Fittable):
    """A node whose statistics get their sizes from the data that it is fitted to.

    Weights files are those of the reference package: statistics of no elements until a fit, and a flag beside them.

    Attributes:
        statistics: Dimensions of each statistic by state key: a size, the name of an attribute that holds the size, or
            another name, which stands for one size wherever it occurs.
        precision: What a statistic is kept in.
    """

    statistics: ClassVar[Mapping[str, tuple[int | str, ...]]]
    precision: ClassVar[torch.dtype] = torch.float32

    _initialized: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_initialized", torch.zeros(1, dtype=torch.bool))
        for key in self.statistics:
            self.register_buffer(key, torch.zeros(0, dtype=self.precision))

    def require_channels(self, cube: Tensor, count: int) -> None:
        """Raise `InputInvalid` unless a cube has the channels that the node was fitted to."""
        if cube.shape[-1] != count:
            raise self.refuse("cube", f"{count} channels, as at the fit", cube)

    @torch.no_grad()
    def settle(self, **values: Tensor) -> None:
        """Set statistics by state key."""
        for key, value in values.items():
            self._put(key, value)
        self._initialized.fill_(True)
        self._done()

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        own = self.state_dict()
        # Shapes of statistics have rules of their own.
        comparable = {key: own[key] if key in self.statistics else value for key, value in state.items()}
        return super().faults(comparable, strict=strict) + self._misfits({**own, **state})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for key in self.statistics:
                if key in state:
                    self._put(key, state[key])
        super().restore(state)
        self._fitted = self._fitted and bool(self._initialized)

    def _put(self, key: str, value: Tensor) -> None:
        current: Tensor = getattr(self, key)
        if current.shape == value.shape:
            current.copy_(value)
            return
        fresh = value.detach().to(current.device, current.dtype, copy=True)
        setattr(self, key, torch.nn.Parameter(fresh) if isinstance(current, torch.nn.Parameter) else fresh)

    def _misfits(self, state: Mapping[str, Tensor]) -> list[str]:
        if not bool(state["_initialized"].any()):
            return []
        faults = []
        known: dict[str, int] = {}
        for key, dims in self.statistics.items():
            shape = list(state[key].shape)
            expected = [self._expected(dim, known) for dim in dims]
            if len(shape) != len(dims) or 0 in shape or _differ(expected, shape):
                listed = ", ".join(str(dim if want is None else want) for dim, want in zip(dims, expected, strict=True))
                faults.append(f"{self.name}.{key} has shape {shape}, expected [{listed}]")
                continue
            known |= {dim: have for dim, have in zip(dims, shape, strict=True) if isinstance(dim, str)}
        return faults

    def _expected(self, dim: int | str, known: Mapping[str, int]) -> int | None:
        return dim if isinstance(dim, int) else getattr(self, dim, known.get(dim))


def _differ(expected: list[int | None], shape: list[int]) -> bool:
    return any(want not in (None, have) for want, have in zip(expected, shape, strict=True))


class PixelFit(SizedFit):
    """A node that learns from a random sample of the training pixels, those of a mask where one is connected.

    Args:
        max_fit_pixels: Most pixels that the fit looks at; all when 0.
        fit_seed: Seed of the choice among more.
    """

    def __init__(self, max_fit_pixels: int, fit_seed: int) -> None:
        super().__init__()
        self._sampling = (
            whole("max_fit_pixels", max_fit_pixels, at_least=0),
            whole("fit_seed", fit_seed, at_least=0),
        )
        self._sample = PixelSample(*self._sampling)

    @abstractmethod
    def learn(self, pixels: Pixels) -> dict[str, Tensor]:
        """Return the statistics by state key, from pixels ``[N, C]``."""

    def min_pixels(self) -> int:
        """Return the minimum number of pixels of a fit."""
        return 2

    def begin_fit(self) -> None:
        self.left_out = 0
        self._sample = PixelSample(*self._sampling)

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        cube: Tensor = inputs["cube"]
        mask: Tensor | None = inputs.get("mask")
        rows = cube.reshape(-1, cube.shape[-1])
        if mask is not None:
            if mask.shape != cube.shape[:3]:
                raise self.refuse("mask", f"{list(cube.shape[:3])}, one number per pixel of the cube", mask)
            rows = rows[mask.reshape(-1) > 0]
        self._sample.add(self.valid_of(rows))

    def end_fit(self) -> None:
        sample, self._sample = self._sample, PixelSample(*self._sampling)
        pixels = sample.draw().numpy()
        least = self.min_pixels()
        if pixels.shape[0] < least:
            raise self._too_few(f"{least} pixels", pixels.shape[0])
        self.settle(**self.learn(pixels))

    def estimate(self, estimator: Any, pixels: NDArray[np.floating], **settings: Any) -> Any:
        """Return an estimator of scikit-learn, of a class and with settings, that is fitted to pixels.

        Raises:
            DataInvalid: The estimator refuses the pixels.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fitted = estimator(**settings).fit(pixels)
            except ValueError as error:
                raise self._unfit(str(error)) from error
        for warning in caught:
            log.warning("Node '%s' (%s): %s", self.name, type(self).__name__, warning.message)
        return fitted

    def _unfit(self, fault: str) -> DataInvalid:
        return DataInvalid(
            f"Node '{self.name}' ({type(self).__name__}) cannot be fitted: {fault}", metadata={"node": self.name}
        )
