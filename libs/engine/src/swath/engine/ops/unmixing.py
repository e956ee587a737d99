"""Abundances of endmembers in spectra: non-negative least squares, all spectra at once.

Source of the method: C. L. Lawson, R. J. Hanson, "Solving Least Squares Problems", 1974, chapter 23; of sharing what
spectra with the same positive abundances have in common: M. H. Van Benthem, M. R. Keenan, "Fast algorithm for the
solution of large-scale non-negativity-constrained least squares problems", Journal of Chemometrics 18, 2004.
"""

from __future__ import annotations

import torch
from torch import Tensor

from swath.engine.ops.ranks import first_largest

_VALUES = 2**22
"""Values that are processed at a time: bounds the memory, which is one small matrix per spectrum."""

_CODE_BITS = 62


def unmix(cube: Tensor, endmembers: Tensor, *, max_steps: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Return the abundances ``a >= 0`` of each pixel with the least ``|E^T a - x|``, and that distance.

    Works in float64 on normal equations, which loses less than the float32 of the data has lost already while the
    condition number of the endmembers is below 1e8. Differentiable in both arguments where no abundance is about to
    become positive or zero. A spectrum that is not finite has no abundances: they and the distance are NaN.

    Args:
        cube: Spectra ``[B, H, W, C]``.
        endmembers: Spectra E ``[K, C]``, at least one.
        max_steps: Most steps for each spectrum; one that takes more keeps what it has reached by then.
        tolerance: An endmember is left out while it would reduce the squared distance by less than this share squared
            of the pixel's squared norm.

    Returns:
        Abundances ``[B, H, W, K]`` and distances ``[B, H, W, 1]``.
    """
    rows = cube.reshape(-1, cube.shape[-1])
    basis = endmembers.to(torch.float64)
    norms = torch.linalg.vector_norm(basis.detach(), dim=1)
    norms = torch.where(norms > 0, norms, 1)
    basis = basis / norms[:, None]
    at_a_time = max(_VALUES // max(endmembers.shape[0] ** 2, cube.shape[-1]), 1)
    parts = [_solve(basis, chunk.to(torch.float64), max_steps, tolerance) for chunk in rows.split(at_a_time)]
    abundances = torch.cat([part[0] for part in parts]) / norms
    distances = torch.cat([part[1] for part in parts])
    shape = cube.shape[:-1]
    return abundances.to(cube.dtype).reshape(*shape, -1), distances.to(cube.dtype).reshape(*shape, 1)


def dominant(abundances: Tensor, min_total: float = 0.0) -> Tensor:
    """Return the endmember of the highest abundance, from 1, ``[B, H, W]`` of abundances ``[B, H, W, K]``.

    Of equal abundances it is the first. It is 0 where the abundances of the pixel are 0, or their sum is below the
    minimum.
    """
    total = abundances.sum(dim=-1)
    present = (total > 0) & (total >= min_total)
    return torch.where(present, first_largest(abundances, 1e-6) + 1, 0).to(torch.int32)


def _solve(basis: Tensor, rows: Tensor, max_steps: int, tolerance: float) -> tuple[Tensor, Tensor]:
    gram, targets = basis @ basis.T, rows @ basis.T
    finite = rows.isfinite().all(dim=1, keepdim=True)
    with torch.no_grad():
        limits = tolerance**2 * torch.linalg.vector_norm(rows, dim=1)
        abundances = _search(gram, torch.where(finite, targets, 0), limits, max_steps)
    if torch.is_grad_enabled() and (gram.requires_grad or targets.requires_grad):
        abundances = _restricted(gram, targets, abundances > 0)
    abundances = torch.where(finite, abundances, torch.nan)
    return abundances, torch.linalg.vector_norm(rows - abundances @ basis, dim=1)


def _search(gram: Tensor, targets: Tensor, limits: Tensor, max_steps: int) -> Tensor:
    """Return the abundances ``[N, K]``; one step moves every spectrum that is not done yet.

    A step either lets one more endmember in, or takes out those whose abundance falls to zero first on the way to the
    unbounded solution.
    """
    count, size = targets.shape
    places = torch.arange(size, device=targets.device)
    values = torch.zeros_like(targets)
    passive = torch.zeros_like(targets, dtype=torch.bool)
    barred = torch.zeros_like(passive)
    entered = torch.full((count, 1), -1, device=targets.device)
    left = torch.arange(count, device=targets.device)
    for _ in range(max_steps):
        if not len(left):
            break
        now, inside, out, new, target = values[left], passive[left], barred[left], entered[left], targets[left]
        solved = _restricted(gram, target, inside)
        # Rounding can make the endmember that came in last negative: it stays out until something else changes.
        useless = (new >= 0) & ~(solved.gather(1, new.clamp_min(0)) > 0)
        withdrawn = useless & (places == new)
        inside, out = inside & ~withdrawn, out | withdrawn
        falling = inside & ~(solved > 0) & ~useless
        short = falling.any(dim=1, keepdim=True)
        reach = torch.where(falling, (now / (now - solved)).nan_to_num(0), torch.inf)
        way = reach.amin(dim=1, keepdim=True)
        moved = torch.where(short, now + way.clamp_max(1) * (solved - now), solved)
        now = torch.where(useless, now, moved)
        inside = inside & ~(falling & (reach <= way)) & ((now > 0) | ~short)
        now = torch.where(inside, now, 0)
        out = out & (useless | short)
        slopes = (target - now @ gram).masked_fill(inside | out, -torch.inf)
        steepest, choice = slopes.max(dim=1, keepdim=True)
        enters = ~short & (steepest > limits[left, None])
        inside = inside | (enters & (places == choice))
        values[left], passive[left], barred[left] = now, inside, out
        entered[left] = torch.where(enters, choice, -1)
        left = left[(short | enters).squeeze(1)]
    return values


def _restricted(gram: Tensor, targets: Tensor, passive: Tensor) -> Tensor:
    """Return the least-squares solutions ``[N, K]`` whose entries outside of the passive sets are zero."""
    sets, which = _distinct(passive)
    inside = sets[:, :, None] & sets[:, None, :]
    matrices = torch.where(inside, gram, torch.eye(gram.shape[0], dtype=gram.dtype, device=gram.device))
    factors, failed = torch.linalg.cholesky_ex(matrices)
    inverses = torch.where(failed[:, None, None] == 0, torch.cholesky_inverse(factors), torch.nan)
    bounded = torch.where(passive, targets, 0).unsqueeze(-1)
    return torch.where(passive, (inverses[which] @ bounded).squeeze(-1), 0)


def _distinct(sets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct rows of a boolean matrix, and which of them each row is."""
    size = sets.shape[1]
    if size > _CODE_BITS:
        rows, which = torch.unique(sets, dim=0, return_inverse=True)
        return rows, which
    # Far faster than comparing rows.
    bits = 2 ** torch.arange(size, device=sets.device)
    codes, which = torch.unique((sets * bits).sum(dim=1), return_inverse=True)
    return (codes[:, None] & bits) != 0, which
