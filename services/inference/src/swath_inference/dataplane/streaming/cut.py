"""Cubes that arrive in chunks: the parts that they are computed in, and where the outputs of a part belong."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import InvalidInput

if TYPE_CHECKING:
    from swath.engine.graph.structure.parts import Parts

AT_A_TIME = 3
"""Parts that are in memory: one arrives, one waits, one is computed."""

_MAX_PARTS = 100_000
Buffer = bytes | memoryview


class Cut(Enum):
    """What a cube is cut into."""

    NONE = "the whole cube"
    ITEMS = "whole items of the batch"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cube.

    Attributes:
        item, items: First item of the batch, and how many.
        row, rows: First row of each, and how many; all rows unless the cube is cut into rows.
    """

    item: int
    items: int
    row: int
    rows: int


@dataclass(frozen=True)
class Cube:
    """A cube and the parts that it is computed in.

    Attributes:
        shape: [B, H, W, ...]; of fewer dimensions it cannot be cut into rows.
        item_size: Bytes of an element.
        cut: What it is cut into.
        parts: In the order of their bytes.
        common_inputs: Names of inputs that belong to the whole cube, such as wavelengths.
        common_outputs: Outputs, `node.port`, that do.
    """

    shape: tuple[int, ...]
    item_size: int
    cut: Cut
    parts: tuple[Part, ...]
    common_inputs: frozenset[str] = frozenset()
    common_outputs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, shape: tuple[int, ...], item_size: int, nodes: Parts, tile_bytes: int) -> Cube:
        """Return the parts of a cube: of about the size of a tile where the pipeline allows it.

        Args:
            shape: Of the cube.
            item_size: Bytes of an element.
            nodes: What parts have to do with one another in the nodes that run.
            tile_bytes: Bytes that a part is to have.
        """
        from swath.engine.graph.independence import Independence

        batch, height = shape[0], shape[1] if len(shape) > 2 else 1
        of_item = math.prod(shape[1:]) * item_size
        if nodes.independence is Independence.BATCH or batch * of_item <= tile_bytes:
            return cls(shape, item_size, Cut.NONE, (Part(0, batch, 0, height),))
        if nodes.independence is Independence.PIXEL and of_item > tile_bytes and height > 1:
            most = max(1, tile_bytes // (of_item // height))
            _check_count(shape, batch * math.ceil(height / most))
            rows = _even(height, most)
            parts = [Part(item, 1, row, count) for item in range(batch) for row, count in rows]
            return cls(shape, item_size, Cut.ROWS, tuple(parts), nodes.common_inputs, nodes.common_outputs)
        most = max(1, tile_bytes // of_item)
        _check_count(shape, math.ceil(batch / most))
        items = _even(batch, most)
        if len(items) == 1:
            return cls(shape, item_size, Cut.NONE, (Part(0, batch, 0, height),))
        parts = [Part(item, count, 0, height) for item, count in items]
        return cls(shape, item_size, Cut.ITEMS, tuple(parts), nodes.common_inputs, nodes.common_outputs)

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return math.prod(self.shape) * self.item_size

    @property
    def in_memory(self) -> int:
        """Bytes of the parts that are in memory at a time."""
        return min(len(self.parts), AT_A_TIME) * max(map(self.bytes_of, self.parts))

    def shape_of(self, part: Part) -> tuple[int, ...]:
        """Return the shape of a part."""
        rows = (part.rows, *self.shape[2:]) if self.cut is Cut.ROWS else self.shape[1:]
        return (part.items, *rows)

    def bytes_of(self, part: Part) -> int:
        """Return the bytes of a part."""
        return math.prod(self.shape_of(part)) * self.item_size

    async def filled(self, chunks: AsyncIterator[Buffer]) -> AsyncIterator[tuple[Part, Buffer]]:
        """Iterate over the parts with their bytes, as soon as these have arrived.

        Raises:
            InvalidInput: The chunks hold more or fewer bytes than the cube takes.
        """
        parts = iter(self.parts)
        part, data, held, arrived = next(parts, None), None, 0, 0
        async for chunk in chunks:
            view, arrived = memoryview(chunk), arrived + len(chunk)
            if arrived > self.nbytes:
                raise InvalidInput(f"the chunks hold {arrived} bytes and more, expected {self._expected}")
            while part is not None and len(view):
                size = self.bytes_of(part)
                taken, view = view[: size - held], view[size - held :]
                if len(taken) == size:
                    data = taken  # The whole part has come in one chunk: it stays where it is.
                else:
                    data = np.empty(size, np.uint8).data if data is None else data
                    data[held : held + len(taken)] = taken
                held += len(taken)
                if held == size:
                    yield part, data
                    part, data, held = next(parts, None), None, 0
        if arrived < self.nbytes:
            raise InvalidInput(f"the chunks hold {arrived} bytes, expected {self._expected}")

    def cut_out(self, name: str, value: Any, part: Part) -> Any:
        """Return what a part needs of another input: rows of what has the cube's pixels, items of what has its items.

        Args:
            name: Of the input.
            value: A tensor; anything else goes whole.
            part: The part.
        """
        shape = tuple(getattr(value, "shape", ()))
        if self.cut is Cut.NONE or name in self.common_inputs or shape[:1] != self.shape[:1]:
            return value
        items = value[part.item : part.item + part.items]
        if self.cut is Cut.ROWS and shape[1:3] == self.shape[1:3]:
            return items[:, part.row : part.row + part.rows]
        return items

    def place(self, name: str, part: Part, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int] | None:
        """Return the whole shape of an output of a part, and the element of it that the part's begin at.

        None where the output has none of the part's pixels or items.
        """
        if self.cut is Cut.NONE:
            return shape, 0
        if name in self.common_outputs:
            return None
        if self.is_of_item(name, part, shape):
            return (self.shape[0], *shape[1:]), part.item * math.prod(shape[1:])
        if self.cut is Cut.ROWS:
            if shape[:3] != (part.items, part.rows, self.shape[2]):
                return None
            first = (part.item * self.shape[1] + part.row) * math.prod(shape[2:])
            return (*self.shape[:3], *shape[3:]), first
        if shape[:1] != (part.items,):
            return None
        return (self.shape[0], *shape[1:]), part.item * math.prod(shape[1:])

    def is_of_item(self, name: str, part: Part, shape: tuple[int, ...]) -> bool:
        """Whether an output of rows has a value for each item of the batch, and so the same in all rows of one."""
        of_rows = shape[:3] == (part.items, part.rows, *self.shape[2:3])
        return self.cut is Cut.ROWS and name not in self.common_outputs and shape[:1] == (part.items,) and not of_rows

    @property
    def _expected(self) -> str:
        return f"{self.nbytes} bytes for shape {list(self.shape)}"


def _check_count(shape: tuple[int, ...], parts: int) -> None:
    # Before there is a list of them: a header of a few bytes must not cost gigabytes.
    if parts > _MAX_PARTS:
        raise InvalidInput(
            f"a cube of shape {list(shape)} would be computed in {parts} parts, expected {_MAX_PARTS} at most: "
            "send it as several"
        )


def _even(length: int, most: int) -> list[tuple[int, int]]:
    """Return begins and lengths of pieces of nearly the same length."""
    count = math.ceil(length / most)
    ends = [length * index // count for index in range(count + 1)]
    return [(begin, end - begin) for begin, end in pairwise(ends)]
