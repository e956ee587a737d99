"""The memory that cubes take while they are computed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from swath.errors import Exhausted
from swath_inference.dataplane.streaming.cut import Cube, Cut

_MIB = 1 << 20


class CubeMemory:
    """How much of cubes, and of their outputs, may be in memory at a time.

    Args:
        limit: Bytes.

    Attributes:
        limit: As given.
        held: Bytes that are spoken for.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._freed = asyncio.Event()

    @contextmanager
    def holding(self, cube: Cube) -> Iterator[Held]:
        """Speak for the memory of the parts of a cube within the block, and for that of its outputs as they come.

        Raises:
            Exhausted: There is not as much, or not now.
        """
        size = cube.in_memory
        limit = f"{self.limit / _MIB:.1f} MiB (SWATH_INFERENCE_CUBE_BYTES)"
        if size > self.limit:
            raise Exhausted(
                f"a cube of shape {list(cube.shape)} takes {size / _MIB:.1f} MiB in memory, more than {limit}: "
                f"this pipeline computes {cube.cut.value} at a time{_WAYS[cube.cut]}"
            )
        if self.held + size > self.limit:
            raise Exhausted(
                f"the cubes of other calls hold {self.held / _MIB:.1f} MiB, and this one takes {size / _MIB:.1f} MiB "
                f"of {limit}; try again later",
                retry_after=1.0,
            )
        held = Held(self)
        self.held += size
        try:
            yield held
        finally:
            self.free(size + held.outputs)

    def free(self, size: int) -> None:
        """Give bytes to whoever waits for some."""
        self.held -= size
        self._freed.set()
        self._freed.clear()

    async def freed(self) -> None:
        """Wait until some bytes are free that were not."""
        await self._freed.wait()


class Held:
    """Memory of the outputs of one cube, from when a part is computed until they are sent.

    A client that reads slowly slows the computing of its parts down, and not that of others.

    Args:
        memory: What it is taken from.

    Attributes:
        outputs: Bytes that are spoken for.
    """

    def __init__(self, memory: CubeMemory) -> None:
        self._memory = memory
        self._turns = asyncio.Lock()
        self._parts = 0
        self._most: int | None = None  # Of a part, as far as is known.
        self.outputs = 0

    async def reserve(self) -> int:
        """Wait for room for the outputs of the next part, and return how many bytes were taken for them.

        A part that is due, with no other on its way, always has room: otherwise nothing would ever become free.
        """
        async with self._turns:
            while self._parts and (self._most is None or self._memory.held + self._most > self._memory.limit):
                await self._memory.freed()
            size = self._most or 0
            self._parts += 1
            self._take(size)
        return size

    def computed(self, reserved: int, size: int) -> None:
        """Say how many bytes the outputs of a part take, in place of those that `reserve` took."""
        self._most = max(self._most or 0, size)
        self._take(size)
        self._free(reserved)

    def sent(self, size: int) -> None:
        """Free the outputs of a part."""
        self._parts -= 1
        self._free(size)

    def _take(self, size: int) -> None:
        self.outputs += size
        self._memory.held += size

    def _free(self, size: int) -> None:
        self.outputs -= size
        self._memory.free(size)


_WAYS = {
    Cut.NONE: ", since its nodes look at all pixels at once; ask only for outputs of nodes that look at each pixel by "
    "itself, send a smaller cube, or raise the setting",
    Cut.ITEMS: ", since its nodes look at all pixels of a frame at once; ask only for outputs of nodes that look at "
    "each pixel by itself, send smaller frames, or raise the setting",
    Cut.ROWS: "; send narrower rows, or raise the setting",
}
