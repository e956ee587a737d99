"""Means and covariances of data that never are in memory at once, and what follows from them."""

from __future__ import annotations

import torch
from torch import Tensor

from swath.engine.ops.ranks import first_largest
from swath.engine.ops.validity import all_finite, valid_rows

_ROWS, _ROWS_CPU = 65_536, 4_096
"""Rows that are taken to float64 at a time: bounds the memory that a large image needs on top of its own. On a CPU they
stay in its cache, which makes it two to eight times as fast."""


class Moments:
    """Count, mean and second moments of rows, merged batch by batch in float64.

    Each batch is centred on its own mean before it is merged, so nothing is lost where the mean is large against the
    spread. Works on the device of the data.

    Invalid rows, with a value that is not finite, are left out.

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.

    Args:
        covariance: Whether to keep second moments between columns, or those of each column alone.

    Attributes:
        count: Rows merged.
        left_out: Invalid rows.
    """

    def __init__(self, *, covariance: bool = False) -> None:
        self.count = 0
        self.left_out = 0
        self._covariance = covariance
        self._mean: Tensor | None = None
        self._scatter: Tensor | None = None

    @torch.no_grad()
    def add(self, rows: Tensor) -> None:
        """Merge rows, shape ``[N, C]``, of any floating dtype."""
        rows = rows.detach()
        if rows.shape[0] == 0:
            return
        before = self.count, _copy(self._mean), _copy(self._scatter)
        self._add(rows)
        # The rows themselves are not looked at: where one of them is not finite, the mean is not either.
        if not all_finite(self.mean):
            self.count, self._mean, self._scatter = before
            kept, left_out = valid_rows(rows)
            self.left_out += left_out
            self._add(kept)

    def _add(self, rows: Tensor) -> None:
        for chunk in rows.split(_ROWS_CPU if rows.is_cpu else _ROWS):
            if chunk.shape[0]:
                self._merge(chunk.to(torch.float64))

    def _merge(self, rows: Tensor) -> None:
        count = rows.shape[0]
        mean = rows.mean(dim=0)
        centred = rows - mean
        scatter = centred.T @ centred if self._covariance else centred.square_().sum(dim=0)
        if self._mean is None or self._scatter is None:
            self.count, self._mean, self._scatter = count, mean, scatter
            return
        total = self.count + count
        delta = mean - self._mean
        between = torch.outer(delta, delta) if self._covariance else delta.square()
        self._mean += delta * (count / total)
        self._scatter += scatter + between * (self.count * (count / total))
        self.count = total

    @property
    def mean(self) -> Tensor:
        """Mean of each column, float64, shape ``[C]``."""
        assert self._mean is not None
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """Covariance of the columns (n - 1), float64, shape ``[C, C]``."""
        assert self._scatter is not None
        assert self._covariance
        return self._scatter / (self.count - 1)

    @property
    def variance(self) -> Tensor:
        """Variance of each column (n - 1), float64, shape ``[C]``."""
        assert self._scatter is not None
        scatter = self._scatter.diagonal() if self._covariance else self._scatter
        return scatter / (self.count - 1)


def _copy(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.clone()


def principal_components(covariance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the directions of largest variance.

    The entry of largest magnitude of each, the first of equal ones, is positive, so that machines and frames agree on
    their signs.

    Source: K. Pearson, "On lines and planes of closest fit to systems of points in space", 1901.

    Args:
        covariance: Covariances, shape ``[..., C, C]``.
        count: Number N of directions, at most C.

    Returns:
        Variances in falling order ``[..., N]``, and orthonormal directions ``[..., N, C]``.
    """
    variances, vectors = torch.linalg.eigh(covariance)
    directions = vectors.mT.flip(-2)[..., :count, :]
    largest = first_largest(directions.detach().abs(), 1e-6).unsqueeze(-1)
    signs = directions.detach().gather(-1, largest).sign()
    return variances.flip(-1)[..., :count], directions * signs
