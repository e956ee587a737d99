"""Cubes on their way up and outputs on their way down, in pieces. No calls are made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.api.payloads import field as wire_field
from swath.api.payloads import split
from swath.client.calls import Outputs
from swath.client.config import MIB
from swath.client.errors import CodecError, LocalError, TransferError
from swath.client.streaming.wire import METHODS, ModelRef, as_bytes, dtype_of, model_of, named, write_inputs
from swath.client.tensors import as_array, wire_array
from swath.inference.v1 import inference_pb2 as pb
from swath.scenes import Scene

INFER_CUBE = METHODS + "InferCube"
CHUNK = 2 * MIB

Progress = Callable[[int, int], None]
"""Called with bytes of the cube that are computed, and bytes in all."""
Place = Callable[[str, tuple[int, ...], np.dtype[Any]], NDArray[Any]]
"""Makes the array that an output goes to, of its name, shape and dtype."""


@dataclass(frozen=True)
class CubeRows:
    """A cube [B, H, W, C] that is read row by row, so that it need not be in memory.

    Attributes:
        shape: Of all of it.
        dtype: Of its elements.
        read: Called with an item of the batch, a first row and an end row; returns [rows, W, C].
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[int, int, int], NDArray[Any]] = field(repr=False)

    @classmethod
    def of(cls, cube: Any) -> CubeRows:
        """Take an array, mapped from a file perhaps, a torch tensor, a scene, or what is one already.

        Raises:
            CodecError: Fewer than two dimensions, or a dtype that the wire has no code for.
        """
        if isinstance(cube, CubeRows):
            return cube
        if isinstance(cube, Scene):
            return cls((1, *cube.cube.shape), cube.sent_dtype, lambda item, first, end: cube.rows(first, end))
        array = as_array(cube)
        if array.ndim < 2:
            raise CodecError(f"expected a cube [B, H, W, C], got shape {list(array.shape)}")
        return cls(array.shape, array.dtype, lambda item, first, end: array[item, first:end])

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Iterate over it, a few rows at a time."""
        batch, height = self.shape[:2]
        rows = max(1, CHUNK * batch * height // max(1, self.nbytes))
        for item in range(batch):
            for first in range(0, height, rows):
                yield self.read(item, first, min(height, first + rows))


class CubeCall:
    """One cube through one pipeline.

    Args:
        what: Id of the session, or a published model.
        cube: As `CubeRows.of` takes it.
        outputs: Outputs wanted; all if empty.
        inputs: The other inputs, by name.
        text_prompt: For pipelines that take one.
        progress: Called as parts are computed.
        place: Makes the arrays of outputs; `numpy.empty` if not given.

    Attributes:
        model: Name of the model; empty for a session.
    """

    def __init__(
        self,
        what: str | ModelRef,
        cube: Any,
        outputs: Iterable[str],
        inputs: Mapping[str, Any],
        text_prompt: str = "",
        progress: Progress | None = None,
        place: Place | None = None,
    ) -> None:
        self.model = model_of(what)
        self._cube = CubeRows.of(cube)
        self._progress = progress or (lambda done, total: None)
        self._place = place or (lambda name, shape, dtype: np.empty(shape, dtype))
        _, code = wire_array(np.empty(0, self._cube.dtype))
        header: Any = pb.CubeHeader(
            outputs=list(outputs), shape=self._cube.shape, text_prompt=text_prompt, **named(what)
        )
        header.dtype = code
        others = write_inputs(pb.CubeHeader.INPUTS_FIELD_NUMBER, inputs)
        parts = wire_field(pb.InferCubeRequest.HEADER_FIELD_NUMBER, header.SerializeToString(), *others)
        self._header = b"".join(parts)
        self._failure: Exception | None = None
        self._forget()

    def _forget(self) -> None:
        self._found = Outputs()
        self._found.metrics = {}
        self._views: dict[int, tuple[str, NDArray[np.uint8]]] = {}
        self._arrived: dict[int, int] = {}
        self._ended = False

    def requests(self, limit: int) -> Iterator[bytes]:
        """What to send; each time from the start.

        Args:
            limit: Bytes of a message.
        """
        self._forget()
        size = min(CHUNK, limit // 2)
        yield self._header
        try:
            for block in self._cube.blocks():
                data = as_bytes(wire_array(block)[0])
                for begin in range(0, len(data), size):
                    chunk = data[begin : begin + size]
                    yield b"".join(wire_field(pb.InferCubeRequest.CHUNK_FIELD_NUMBER, chunk))
        except Exception as error:
            # gRPC would say no more than that something failed.
            self._failure = error
            raise

    def question(self) -> Iterator[bytes]:
        """What to send to be told the plan alone."""
        yield self._header

    def plan(self, data: bytes) -> pb.Plan:
        """The plan, as the first answer says it."""
        return pb.InferCubeResponse.FromString(data).plan

    def raise_failure(self) -> None:
        """Raise what reading the cube has raised, if it has."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def receive(self, data: bytes) -> None:
        """Take one answer.

        Raises:
            TransferError: It does not fit the others.
        """
        message, payloads = split(pb.InferCubeResponse, data)
        match message.WhichOneof("part"):
            case "plan":
                self._progress(0, self._cube.nbytes)
            case "output":
                self._open(message.output)
            case "chunk":
                self._write(message.chunk, payloads.of(message.chunk.data))
            case "end":
                self._found.metrics = dict(message.end.metrics)
                self._ended = True

    def finish(self) -> Outputs:
        """The outputs, after the last answer.

        Raises:
            TransferError: They are not whole.
        """
        short = [name for index, (name, view) in self._views.items() if self._arrived[index] != view.size]
        if not self._ended or short:
            raise TransferError(f"the server's answer is not whole: {', '.join(short) or 'its end'} is missing")
        self._progress(self._cube.nbytes, self._cube.nbytes)
        return self._found

    def _open(self, header: pb.OutputHeader) -> None:
        shape = tuple(header.shape) or (1,)
        array = self._place(header.name, shape, dtype_of(header.dtype))
        if array.shape != shape or not array.flags.c_contiguous:
            raise LocalError(f"expected an array {list(shape)} in C order for {header.name}, got {list(array.shape)}")
        self._found[header.name] = array
        self._views[header.index] = (header.name, array.reshape(-1).view(np.uint8))
        self._arrived[header.index] = 0

    def _write(self, chunk: pb.OutputChunk, data: bytes | memoryview) -> None:
        name, view = self._views.get(chunk.index, ("", np.empty(0, np.uint8)))
        begin, end = chunk.offset, chunk.offset + len(data)
        if begin != self._arrived.get(chunk.index) or end > view.size:
            raise TransferError(f"output {name or chunk.index}: expected other bytes than {begin} to {end}")
        view[begin:end] = np.frombuffer(data, np.uint8)
        self._arrived[chunk.index] = end
        computed = min(self._arrived[index] / max(1, each.size) for index, (_, each) in self._views.items())
        self._progress(int(computed * self._cube.nbytes), self._cube.nbytes)


async def in_threads(requests: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Iterate over what reads files, without holding up the event loop."""
    while (request := await asyncio.to_thread(next, requests, None)) is not None:
        yield request
