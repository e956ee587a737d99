"""Pictures whose holes are filled smoothly."""

from __future__ import annotations

import torch
from torch import Tensor

_VALUES = 2**24
"""Unknowns that are solved for at a time, all channels together: bounds the memory that is needed on top."""


def fill(picture: Tensor, hole: Tensor, *, max_iter: int, tol: float) -> Tensor:
    """Return a picture whose hole is the smoothest that fits its border: Laplace's equation, ``sum(x_j - x_i) = 0``.

    The sum runs over a pixel's neighbours in four directions that are in the picture. The solver is that of conjugate
    gradients, in float64, for all channels at once.

    Source: P. Perez, M. Gangnet, A. Blake, "Poisson image editing", ACM Trans. Graphics 22 (2003); M. R. Hestenes,
    E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. NBS 49 (1952).

    Args:
        picture: ``[H, W, C]``; what is in the hole does not matter.
        hole: bool ``[H, W]``, not all of the picture.
        max_iter: Most steps of the solver.
        tol: Norm of a channel's residual at which it stops.

    Returns:
        A picture of its own, of the type of the one given.
    """
    filled = picture.clone()
    if not bool(hole.any()):
        return filled
    system = _System(hole)
    values = picture.flatten(0, 1)
    step = max(1, _VALUES // len(system.degree))
    for start in range(0, picture.shape[-1], step):
        part = slice(start, start + step)
        filled[..., part][hole] = system.solve(values[:, part], max_iter, tol).to(picture.dtype)
    return filled


class _System:
    """The equations of a hole's pixels, ``degree * x_i - sum(x_j of the hole) = sum(x_j of the border)``."""

    def __init__(self, hole: Tensor) -> None:
        height, width = hole.shape
        rows, columns = hole.nonzero(as_tuple=True)
        count = len(rows)
        number = torch.full(hole.shape, count, device=hole.device)  # one past the last stands for no unknown
        number[rows, columns] = torch.arange(count, device=hole.device)
        self.degree = torch.zeros(count, 1, dtype=torch.float64, device=hole.device)
        self._unknown: list[Tensor] = []
        self._border: list[tuple[Tensor, Tensor]] = []
        for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            row, column = rows + down, columns + across
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            row, column = torch.where(inside, row, 0), torch.where(inside, column, 0)
            neighbour = torch.where(inside, number[row, column], count)
            at_border = (inside & (neighbour == count)).nonzero().squeeze(1)
            self.degree += inside.unsqueeze(1)
            self._unknown.append(neighbour)
            self._border.append((at_border, (row * width + column)[at_border]))

    @torch.no_grad()
    def solve(self, values: Tensor, max_iter: int, tol: float) -> Tensor:
        """Return the values in the hole, float64 ``[N, C]``, from those of the picture, ``[H * W, C]``."""
        residual = self.degree.new_zeros(len(self.degree), values.shape[1])
        for at_border, place in self._border:
            residual.index_add_(0, at_border, values[place].to(torch.float64))
        solution = torch.zeros_like(residual)
        direction = residual.clone()
        size = residual.square().sum(dim=0)
        for _ in range(max_iter):
            if float(size.max()) <= tol * tol:
                break
            image = self._apply(direction)
            curvature = (direction * image).sum(dim=0)
            # A channel that is solved has no direction left, and stays as it is.
            step = torch.where(curvature > 0, size / curvature, 0.0)
            solution += step * direction
            residual -= step * image
            former, size = size, residual.square().sum(dim=0)
            direction = residual + torch.where(former > 0, size / former, 0.0) * direction
        return solution

    def _apply(self, values: Tensor) -> Tensor:
        padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
        result = self.degree * values
        for neighbour in self._unknown:
            result -= padded.index_select(0, neighbour)
        return result
