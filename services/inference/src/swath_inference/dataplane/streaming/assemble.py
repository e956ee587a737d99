"""Outputs of the parts of a cube, put together to those of the whole one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swath.errors import Precondition
from swath_inference.dataplane.streaming.cut import Cube, Part


@dataclass(frozen=True, slots=True)
class Header:
    """An output, before its first chunk.

    Attributes:
        index: What its chunks name it by.
        name: `node.port`.
        shape: Of all of it.
        code: Type code of its elements.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    code: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an output.

    Attributes:
        index: Of the output.
        offset: Place of the first byte in all of it.
        data: The bytes.
    """

    index: int
    offset: int
    data: memoryview


@dataclass
class _Output:
    header: Header
    size: int
    constant: bytes | None  # Of an output that has no place: the same in all parts.
    of_item: bytes = b""  # Of an output that items have: the same in all parts of one.
    sent: int = 0


Encoded = tuple[tuple[int, ...], int, memoryview]
"""Shape, type code and bytes of a tensor."""


def bytes_in(values: Mapping[str, float | Encoded]) -> int:
    """Return the bytes of the tensors among the outputs of a part."""
    return sum(len(value[2]) for value in values.values() if not isinstance(value, int | float))


class CubeOutputs:
    """Puts the outputs of parts in their places in the whole outputs.

    Args:
        cube: The cube.

    Attributes:
        metrics: Outputs that are numbers, by `node.port`.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self._outputs: dict[str, _Output] = {}
        self.metrics: dict[str, float] = {}

    def add(self, part: Part, values: Mapping[str, float | Encoded]) -> Iterator[Header | Piece]:
        """Take the outputs of the next part; give what is new of the whole ones.

        Raises:
            Precondition: An output has no place, and is not the same in all parts.
        """
        first = part == self._cube.parts[0]
        for name, value in values.items():
            if isinstance(value, int | float):
                self._number(name, value, first=first)
                continue
            shape, code, data = value
            of_item = self._cube.is_of_item(name, part, shape)
            if of_item and part.row and (known := self._outputs.get(name)) is not None and known.of_item == data:
                continue
            place = self._cube.place(name, part, shape)
            whole, begin = place or (shape, 0)
            item_size = len(data) // max(1, math.prod(shape))
            output = self._outputs.get(name)
            if output is None and first:
                header = Header(len(self._outputs), name, whole, code)
                constant = None if place else bytes(data)
                output = self._outputs[name] = _Output(header, math.prod(whole) * item_size, constant)
                yield header
            elif output is not None and output.constant == data:
                continue
            if (
                output is None
                or (output.header.shape, output.header.code) != (whole, code)
                or (output.constant is not None and not first)
                or begin * item_size != output.sent
            ):
                raise self._out_of_place(name, shape)
            if of_item:
                output.of_item = bytes(data)
            yield Piece(output.header.index, output.sent, data)
            output.sent += len(data)

    def finish(self) -> None:
        """Check that all outputs are whole.

        Raises:
            Precondition: One of them is not.
        """
        for name, output in self._outputs.items():
            if output.sent != output.size:
                raise self._out_of_place(name, ())

    def _number(self, name: str, value: float, *, first: bool) -> None:
        known = self.metrics.get(name)
        if not first and known != value and not (known is not None and math.isnan(known) and math.isnan(value)):
            raise self._out_of_place(name, ())
        self.metrics[name] = value

    def _out_of_place(self, name: str, shape: tuple[int, ...]) -> Precondition:
        return Precondition(
            f"output '{name}', {list(shape)} in a part, cannot be put together: the cube is computed in "
            f"{self._cube.cut.value}, which takes outputs that have a value for each pixel, or are the same in all "
            "parts; ask for other outputs, or send the cube by Inference",
            metadata={"output": name},
        )
