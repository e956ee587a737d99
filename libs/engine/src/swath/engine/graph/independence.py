"""What parts of a batch have to do with one another: whether they may be computed apart, or with those of others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum


class Independence(IntEnum):
    """What an element of an output depends on, given the state and outside of training. The larger, the less.

    Attributes:
        BATCH: Anything in the batch. What a node is taken for that does not say.
        FRAME: The item of the batch (``[B, ...]``) that it belongs to: batches may be joined and cut between items.
        PIXEL: The pixels at its own place (``[B, H, W, ...]``): cubes may also be cut into rows.
    """

    BATCH = 0
    FRAME = 1
    PIXEL = 2

    @classmethod
    def over(cls, dims: Collection[int]) -> Independence:
        """Return that of a node with statistics over some dimensions of ``[B, H, W, C]``, numbered from 0."""
        if 0 in dims:
            return cls.BATCH
        return cls.FRAME if {1, 2} & set(dims) else cls.PIXEL

    @classmethod
    def of_all(cls, parts: Iterable[Independence]) -> Independence:
        """Return that of a pipeline of parts: the least."""
        return min(parts, default=cls.PIXEL)
