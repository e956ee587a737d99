"""The memory that cubes take while they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swath.errors import Exhausted
from swath_inference.dataplane.streaming.cut import Cube, Cut

_MIB = 1 << 20


class CubeMemory:
    """How much of cubes may be in memory at a time.

    Args:
        limit: Bytes.

    Attributes:
        held: Bytes that are spoken for.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    @contextmanager
    def holding(self, cube: Cube) -> Iterator[None]:
        """Speak for the memory that a cube takes, within the block.

        Raises:
            Exhausted: There is not as much, or not now.
        """
        size = cube.in_memory
        limit = f"{self._limit / _MIB:.1f} MiB (SWATH_INFERENCE_CUBE_BYTES)"
        if size > self._limit:
            raise Exhausted(
                f"a cube of shape {list(cube.shape)} takes {size / _MIB:.1f} MiB in memory, more than {limit}: "
                f"this pipeline computes {cube.cut.value} at a time{_WAYS[cube.cut]}"
            )
        if self.held + size > self._limit:
            raise Exhausted(
                f"the cubes of other calls hold {self.held / _MIB:.1f} MiB, and this one takes {size / _MIB:.1f} MiB "
                f"of {limit}; try again later",
                retry_after=1.0,
            )
        self.held += size
        try:
            yield
        finally:
            self.held -= size


_WAYS = {
    Cut.NONE: ", since its nodes look at all pixels at once; ask only for outputs of nodes that look at each pixel by "
    "itself, send a smaller cube, or raise the setting",
    Cut.ITEMS: ", since its nodes look at all pixels of a frame at once; ask only for outputs of nodes that look at "
    "each pixel by itself, send smaller frames, or raise the setting",
    Cut.ROWS: "; send narrower rows, or raise the setting",
}
