"""Quadratic forms of many rows, without cancellation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class QuadraticForm:
    """``(x - m)^T A (x - m)`` of rows x, by a factor of the matrix A that is kept until `reset`.

    While the matrix is a parameter it changes at every step, and a trained one need not be positive; then the form is
    taken as it is written.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Drop what was derived from mean and matrix."""
        self._whitening: _Whitening | None = None
        self._positive = True

    def __call__(self, rows: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
        """Return the form of each row.

        Args:
            rows: Shape ``[N, C]``.
            mean: Shape ``[C]``.
            matrix: Shape ``[C, C]``.

        Returns:
            Shape ``[N]``, of the dtype of the rows.
        """
        whitening = self._whitened_by(rows.dtype, mean, matrix)
        if whitening is None:
            centred = rows - mean.to(rows.dtype)
            return torch.linalg.vecdot(centred @ matrix.to(rows.dtype), centred)
        whitened = torch.addmm(whitening.rest, rows - whitening.mean, whitening.factor)
        return torch.linalg.vecdot(whitened, whitened)

    def _whitened_by(self, dtype: torch.dtype, mean: Tensor, matrix: Tensor) -> _Whitening | None:
        if isinstance(matrix, torch.nn.Parameter) or not self._positive:
            return None
        if self._whitening is None or self._whitening.mean.dtype != dtype:
            with torch.inference_mode(False), torch.no_grad():
                factor = _factor((matrix + matrix.mT) / 2)
                self._positive = factor is not None
                if factor is None:
                    return None
                rounded = mean.to(dtype)
                self._whitening = _Whitening(rounded, factor.to(dtype), ((rounded - mean) @ factor).to(dtype))
        return self._whitening


class _Whitening(NamedTuple):
    """``|(x - mean) factor + rest|^2`` is the form: the sum of squares cannot cancel.

    Rounding a factor W of the matrix, with ``A == W W^T``, to the dtype of the data costs the square root of the error
    that rounding the matrix itself costs; `rest` is what rounding the mean left over.
    """

    mean: Tensor
    factor: Tensor
    rest: Tensor


def _factor(matrix: Tensor) -> Tensor | None:
    """Return W with ``W W^T == matrix``, None where the matrix is not positive."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed:
        return factor
    # A matrix with directions without any weight is not taken by Cholesky. This costs a hundred times more.
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() if values[0] >= -1e-12 * values[-1] else None
