"""swath.inference.v1.InferenceService, translated."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from swath.errors import InputInvalid, InvalidInput
from swath.inference.v1 import inference_pb2 as pb
from swath.rpc.server.failures import forget_frames
from swath.rpc.server.handlers import ends_unread
from swath.rpc.server.methods import in_bytes
from swath_inference.dataplane.sendable import refusing, sendable
from swath_inference.dataplane.streaming.assemble import CubeOutputs, Encoded, Header, Piece, bytes_in
from swath_inference.dataplane.streaming.cut import AT_A_TIME, Buffer, Cube, Cut, Part
from swath_inference.dataplane.streaming.memory import Held
from swath_inference.dataplane.streaming.ordered import Ordered
from swath_inference.dataplane.streaming.streams import SameThroughout, Turn
from swath_inference.protocols.stream.messages import (
    CHUNK,
    Message,
    encoded,
    first_of,
    read_inputs,
    reader,
    rest_of,
    write_error,
    write_part,
    write_result,
)
from swath_inference.protocols.stream.subjects import ends_stream, subject_of

if TYPE_CHECKING:
    from swath.engine.graph.structure.parts import Parts
    from swath_inference.published.calls import ModelCalls
    from swath_inference.service import InferenceService

_CUTS = {Cut.NONE: pb.CUT_NONE, Cut.ITEMS: pb.CUT_ITEMS, Cut.ROWS: pb.CUT_ROWS}


class StreamServicer:
    """Frames and cubes over streams.

    Args:
        service: Decides about sessions.
        calls: Decides about published models.
    """

    def __init__(self, service: InferenceService, calls: ModelCalls) -> None:
        self._service = service
        self._calls = calls
        self.unread_s = service.settings.unread_s

    @in_bytes(reader(pb.StreamInferRequest))
    async def StreamInfer(
        self, requests: AsyncIterator[Message], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        opening = (await first_of(requests, "open")).request.open
        wanted, ahead = tuple(opening.outputs), self._service.settings.frames_ahead
        unknown, subject = refusing(wanted), subject_of(opening, self._service, self._calls)
        async with subject.stream() as stream:

            async def answer(message: Message) -> bytes:
                frame = message.request.frame

                def read() -> dict[str, Any]:
                    return read_inputs(frame.inputs, frame.text_prompt, message.payloads)

                def write(outputs: dict[str, Any]) -> bytes:
                    return write_result(frame.id, encoded(sendable(outputs, wanted)))

                try:
                    async with Turn(stream) as turn:
                        return await subject.frame(read, wanted, write, unknown, holder=turn, size=message.size)
                except Exception as error:
                    if ends_stream(error):
                        raise
                    told = write_error(frame.id, error)
                    # They hold the frame's tensors, in a circle that only a garbage collection would end.
                    forget_frames(error)
                    return told

            opened = pb.Opened(frames_ahead=ahead, model_version=subject.version)
            yield pb.StreamInferResponse(opened=opened).SerializeToString()
            async with (
                aclosing(rest_of(requests, "frame")) as frames,
                aclosing(stream.answers(frames, answer, ahead)) as answers,
            ):
                async for each in answers:
                    yield each

    @ends_unread(lambda servicer: servicer.unread_s, "SWATH_INFERENCE_UNREAD_S")
    @in_bytes(reader(pb.InferCubeRequest))
    async def InferCube(
        self, requests: AsyncIterator[Message], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        settings = self._service.settings
        first = await first_of(requests, "header")
        header = first.request.header
        name, wanted = header.input or "cube", tuple(header.outputs)
        shape, item_size = _described(header, name)
        unknown, calls = refusing(wanted), SameThroughout()
        subject = subject_of(header, self._service, self._calls)
        parts = await subject.parts_of(wanted, unknown, calls)
        others = read_inputs(header.inputs, header.text_prompt, first.payloads)
        cube = Cube.of(shape, item_size, parts, settings.tile_bytes)
        if name in others:
            raise InvalidInput(f"input '{name}' comes in chunks and in the header: leave it out of one of them")

        async def compute(held: Held, filled: tuple[Part, Buffer]) -> tuple[Part, dict[str, float | Encoded]]:
            part, data = filled
            reserved = await held.reserve()

            def read() -> dict[str, Any]:
                from swath.engine.graph.codec import decode

                batch = {key: cube.cut_out(key, value, part) for key, value in others.items()}
                return {**batch, name: decode(cube.shape_of(part), header.dtype, data, name=name)}

            def write(outputs: dict[str, Any]) -> dict[str, float | Encoded]:
                return encoded(sendable(outputs, wanted))

            values = await subject.part(read, wanted, write, unknown, holder=calls, size=len(data))
            held.computed(reserved, bytes_in(values))
            return part, values

        with subject.whole(), self._service.cubes.holding(cube) as held:
            plan = pb.Plan(
                cut=_CUTS[cube.cut],
                parts=len(cube.parts),
                rows_apart=_rows_apart(parts),
                model_version=subject.version,
            )
            yield pb.InferCubeResponse(plan=plan).SerializeToString()
            outputs = CubeOutputs(cube)
            async with (
                aclosing(rest_of(requests, "chunk", settings.cube_wait_s)) as messages,
                aclosing(_chunks(messages)) as chunks,
                aclosing(Ordered(cube.filled(chunks), partial(compute, held), AT_A_TIME).results()) as results,
            ):
                async for part, values in results:
                    for message in _messages(outputs.add(part, values)):
                        yield message
                    size = bytes_in(values)
                    values.clear()  # Not to be held while the next part arrives.
                    held.sent(size)
            outputs.finish()
        yield pb.InferCubeResponse(end=pb.End(metrics=outputs.metrics)).SerializeToString()


def _rows_apart(parts: Parts) -> bool:
    from swath.engine.graph.independence import Independence

    return parts.independence is Independence.PIXEL


def _described(header: pb.CubeHeader, name: str) -> tuple[tuple[int, ...], int]:
    """Return the shape of a cube and the bytes of an element."""
    from swath.engine.graph.codec import DTYPES

    if header.dtype not in DTYPES:
        raise InputInvalid(f"{name}: Unsupported dtype: {header.dtype}; expected one of {sorted(DTYPES)}")
    shape = tuple(header.shape)
    if not shape or any(size < 1 for size in shape) or math.prod(shape) >= 2**60:
        raise InputInvalid(f"{name}: expected a shape of sizes above 0, [B, H, W, ...], got {list(shape)}")
    return shape, DTYPES[header.dtype].itemsize


def _messages(new: Iterator[Header | Piece]) -> Iterator[bytes]:
    for each in new:
        yield from write_part(each)


async def _chunks(messages: AsyncIterator[Message]) -> AsyncGenerator[Buffer, None]:
    async for message in messages:
        chunk = message.payloads.of(message.request.chunk)
        if len(chunk) > CHUNK:
            raise InvalidInput(f"a chunk holds {len(chunk)} bytes, expected {CHUNK} at most")
        yield chunk
