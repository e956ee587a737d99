"""Messages of streams, read without copying what is large, and written with one copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swath.api.payloads import Buffer, Payloads, field, split
from swath.errors import InvalidInput, TimedOut
from swath.inference.v1 import inference_pb2 as pb
from swath.rpc.server.failures import told_of
from swath.rpc.status import code_of, short
from swath_inference.dataplane.request import check_frames
from swath_inference.dataplane.streaming.assemble import Encoded, Header, Piece

CHUNK = 4 * 1024**2
"""Most bytes of a chunk that arrives."""
_SENT = 1024**2 - 1024
"""Bytes of a chunk that is sent: clients take it whose limit is 1 MiB; that of most is 4 MiB if they say nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request whose large payloads lie where they arrived.

    Attributes:
        request: The rest of it.
        payloads: What its bytes fields stand for.
        size: Bytes that it came in.
    """

    request: Any
    payloads: Payloads
    size: int

    @property
    def session_id(self) -> str:
        """The session that the first message of a stream names."""
        part = self.request.WhichOneof("part")
        return getattr(getattr(self.request, part), "session_id", "") if part else ""


def reader(kind: Any) -> Callable[[bytes], Message]:
    """Return what reads requests of a class."""
    return lambda data: Message(*split(kind, data), len(data))


async def first_of(requests: AsyncIterator[Message], part: str) -> Message:
    """Return the first message of a stream, which holds a part.

    Raises:
        InvalidInput: It does not.
    """
    first = await anext(requests, None)
    if first is None or first.request.WhichOneof("part") != part:
        found = "none" if first is None else f"one with {first.request.WhichOneof('part') or 'nothing'}"
        raise InvalidInput(f"the first message must hold '{part}', got {found}")
    return first


async def rest_of(
    requests: AsyncIterator[Message], part: str, wait_s: float | None = None
) -> AsyncGenerator[Message, None]:
    """Iterate over the messages after the first one, all of which hold a part.

    Args:
        requests: The messages.
        part: Name of the part.
        wait_s: Seconds to wait for each; None waits for ever.

    Raises:
        InvalidInput: One holds something else.
        TimedOut: None came for as long.
    """
    while True:
        try:
            async with asyncio.timeout(wait_s):
                message = await anext(requests, None)
        except TimeoutError:
            raise TimedOut(
                f"no message came for {wait_s:g} s (SWATH_INFERENCE_CUBE_WAIT_S), the last one is missing"
            ) from None
        if message is None:
            return
        if (found := message.request.WhichOneof("part")) != part:
            raise InvalidInput(f"every message after the first must hold '{part}', got one with {found or 'nothing'}")
        yield message


def read_tensor(name: str, tensor: pb.Tensor, payloads: Payloads) -> Any:
    """Return a torch tensor over the payload of a message.

    Raises:
        InputInvalid: It does not fit its shape and type.
    """
    from swath.engine.graph.codec import decode

    return decode(tensor.shape, tensor.dtype, payloads.of(tensor.data), name=name)


def read_inputs(inputs: Mapping[str, pb.Tensor], text_prompt: str, payloads: Payloads) -> dict[str, Any]:
    """Return the batch of a frame.

    Raises:
        InputInvalid: A tensor does not fit its shape and type, or has no elements in a frame.
    """
    batch: dict[str, Any] = {}
    for name, message in inputs.items():
        batch[name] = tensor = read_tensor(name, message, payloads)
        check_frames(name, tensor)
    if text_prompt:
        batch["text_prompt"] = text_prompt
    return batch


def encoded(outputs: Iterator[tuple[str, Any]]) -> dict[str, float | Encoded]:
    """Return outputs by `node.port`, tensors as shape, type code and bytes."""
    from swath.engine.graph.codec import encode

    return {name: each if isinstance(each, int | float) else encode(each, name=name) for name, each in outputs}


def write_result(frame_id: int, values: Mapping[str, float | Encoded]) -> bytes:
    """Return the answer of a frame on the wire."""
    parts: list[Buffer] = [pb.Result(id=frame_id).SerializeToString()]
    for name, value in values.items():
        if isinstance(value, int | float):
            parts.append(pb.Result(metrics={name: value}).SerializeToString())
            continue
        shape, code, data = value
        header: Any = pb.Tensor(shape=shape)
        header.dtype = code
        tensor = [header.SerializeToString(), *field(pb.Tensor.DATA_FIELD_NUMBER, data)]
        parts += field(pb.Result.OUTPUTS_FIELD_NUMBER, *field(1, name.encode()), *field(2, *tensor))
    return b"".join(field(pb.StreamInferResponse.RESULT_FIELD_NUMBER, *parts))


def write_error(frame_id: int, error: Exception) -> bytes:
    """Return the answer of a frame that could not be computed."""
    told = told_of(error, method="/swath.inference.v1.InferenceService/StreamInfer")
    found = pb.Error(
        code=code_of(told).value[0],
        reason=told.reason,
        message=short(told.message),
        retry_after_s=told.retry_after,
    )
    return pb.StreamInferResponse(result=pb.Result(id=frame_id, error=found)).SerializeToString()


def write_part(each: Header | Piece) -> Iterator[bytes]:
    """Return what is new of a cube's outputs on the wire: a header, or chunks."""
    if isinstance(each, Header):
        header: Any = pb.OutputHeader(index=each.index, name=each.name, shape=each.shape)
        header.dtype = each.code
        yield pb.InferCubeResponse(output=header).SerializeToString()
        return
    for begin in range(0, len(each.data), _SENT):
        place = pb.OutputChunk(index=each.index, offset=each.offset + begin).SerializeToString()
        data = field(pb.OutputChunk.DATA_FIELD_NUMBER, each.data[begin : begin + _SENT])
        yield b"".join(field(pb.InferCubeResponse.CHUNK_FIELD_NUMBER, place, *data))
