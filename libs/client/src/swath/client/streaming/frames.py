"""Streams of frames, blocking and asyncio."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio

from swath.api.payloads import field, split
from swath.client.calls import Outputs
from swath.client.config import ClientConfig
from swath.client.errors import CallError, LocalError, UnavailableError, call_error, frame_error
from swath.client.streaming.wire import METHODS, ModelRef, model_of, named, read_outputs, write_inputs
from swath.inference.v1 import inference_pb2 as pb

STREAM_INFER = METHODS + "StreamInfer"

_EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What became of one frame.

    Attributes:
        id: Of the frame.
        outputs: Its outputs; empty where it failed.
        error: Why it failed; None where it did not.
    """

    id: int
    outputs: Outputs
    error: CallError | None = None

    def value(self) -> Outputs:
        """The outputs.

        Raises:
            CallError: The frame failed.
        """
        if self.error is not None:
            raise self.error
        return self.outputs


class _Conversation:
    """What is said on one stream: ids of frames, the order of results, and words for its end."""

    def __init__(self, config: ClientConfig, what: str | ModelRef, outputs: Iterable[str]) -> None:
        self._config = config
        opening = pb.Open(outputs=list(outputs), **named(what))
        self.opening = pb.StreamInferRequest(open=opening).SerializeToString()
        self._next_id = 0
        self._last = "none"
        self.unanswered: deque[int] = deque()

    def frame(self, frame_id: int | None, inputs: Mapping[str, Any]) -> bytes:
        """A frame on the wire; from now on it has no answer."""
        chosen = self._next_id if frame_id is None else frame_id
        prompt = inputs.get("text_prompt")
        header = pb.Frame(id=chosen, text_prompt=prompt or "").SerializeToString()
        tensors = {name: value for name, value in inputs.items() if name != "text_prompt"}
        parts = (header, *write_inputs(pb.Frame.INPUTS_FIELD_NUMBER, tensors))
        message = b"".join(field(pb.StreamInferRequest.FRAME_FIELD_NUMBER, *parts))
        self._next_id = chosen + 1
        self.unanswered.append(chosen)
        return message

    def opened(self, data: bytes) -> tuple[int, int]:
        """Frames that the server takes ahead, and the model's version, as its first answer says."""
        opened = pb.StreamInferResponse.FromString(data).opened
        return opened.frames_ahead, opened.model_version

    def result(self, data: bytes) -> FrameResult:
        """The next result."""
        message, payloads = split(pb.StreamInferResponse, data)
        result = message.result
        if not self.unanswered or self.unanswered.popleft() != result.id:
            raise LocalError(f"the server answered frame {result.id} out of turn")
        self._last = str(result.id)
        if result.HasField("error"):
            error, after = result.error, None
            if error.HasField("retry_after_s"):
                after = error.retry_after_s
            return FrameResult(result.id, Outputs(), frame_error(error.code, error.reason, error.message, after))
        return FrameResult(result.id, read_outputs(result, payloads))

    def broken(self, error: Any) -> CallError:
        """The error of a stream that ended before its time."""
        found = call_error(error, method="StreamInfer", target=self._config.target)
        if isinstance(found, UnavailableError):
            found.message += (
                f"; the last frame that was answered is {self._last}, and {len(self.unanswered)} have no answer: "
                "open another stream to go on, on which nodes with a memory begin afresh"
            )
        return found


class InferenceStream:
    """Frames of one session or model, one after the other; results come in the order of the frames.

        with session.stream(outputs=["scores"]) as stream:
            for result in stream.run({"cube": cube} for cube in camera):
                show(result.value()["rx.scores"])

    A frame that cannot be computed has a result with its error, and the stream goes on. Nodes with a memory keep it
    from frame to frame.

    Args:
        channel: To the server.
        config: Of the client.
        what: Id of the session, or a published model.
        outputs: ``node.port`` or bare port names to compute; empty means all.

    Attributes:
        frames_ahead: Frames that the server takes ahead of their results.
        version: Of the model that all frames run on; 0 on a session's stream.
    """

    def __init__(
        self, channel: grpc.Channel, config: ClientConfig, what: str | ModelRef, outputs: Iterable[str]
    ) -> None:
        self._said = _Conversation(config, what, outputs)
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._requests.put(self._said.opening)
        call: Any = channel.stream_stream(STREAM_INFER)
        self._answers: Any = call(iter(self._requests.get, None), metadata=config.call_metadata(model_of(what)))
        self._ended = False
        self.frames_ahead, self.version = self._said.opened(self._read())

    def __enter__(self) -> InferenceStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def send(self, *, frame_id: int | None = None, **inputs: Any) -> int:
        """Send a frame and return its id: the next number if none is given.

        It does not wait: frames beyond the `frames_ahead` that the server takes before their results are kept here.

        Args:
            frame_id: Comes back with the result.
            inputs: Arrays or torch tensors by input name: cube [B, H, W, C], ...; None leaves an input out.

        Raises:
            CodecError: A dtype that the wire has no code for.
        """
        if self._ended:
            raise LocalError("the stream takes no frames any more")
        self._requests.put(self._said.frame(frame_id, inputs))
        return self._said.unanswered[-1]

    def receive(self) -> FrameResult:
        """Wait for the next result.

        Raises:
            CallError: The stream is over: the session was closed, the server is gone.
            LocalError: No frame waits for a result.
        """
        if not self._said.unanswered:
            raise LocalError("no frame waits for a result")
        return self._said.result(self._read())

    def run(self, frames: Iterable[Mapping[str, Any]]) -> Iterator[FrameResult]:
        """Send frames and give their results, taking one frame more from the iterable than the server takes ahead."""
        for inputs in frames:
            self.send(**inputs)
            while len(self._said.unanswered) > self.frames_ahead:
                yield self.receive()
        while self._said.unanswered:
            yield self.receive()

    def end(self) -> None:
        """Say that no frame follows; results that are due still come."""
        if not self._ended:
            self._ended = True
            self._requests.put(None)

    def close(self) -> None:
        """End the stream, whatever is due."""
        self.end()
        self._answers.cancel()

    def _read(self) -> bytes:
        try:
            return next(self._answers)
        except StopIteration:
            raise LocalError("the server ended the stream before its last result") from None
        except grpc.RpcError as error:
            self.end()
            raise self._said.broken(error) from None


class AsyncInferenceStream:
    """As `InferenceStream`, with ``await``; use it as an async context manager.

    Args:
        channel, config, what, outputs: As of `InferenceStream`.
        timeout_s: Deadline of the whole stream in seconds; None for none.
    """

    frames_ahead: int
    version: int

    def __init__(
        self,
        channel: grpc.aio.Channel,
        config: ClientConfig,
        what: str | ModelRef,
        outputs: Iterable[str],
        timeout_s: float | None = None,
    ) -> None:
        self._said = _Conversation(config, what, outputs)
        call: Any = channel.stream_stream(STREAM_INFER)
        self._call: Any = call(timeout=timeout_s, metadata=config.call_metadata(model_of(what)))
        self._ended = False

    async def __aenter__(self) -> AsyncInferenceStream:
        try:
            await self._write(self._said.opening)
            self.frames_ahead, self.version = self._said.opened(await self._read())
        except BaseException:
            self._call.cancel()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def send(self, *, frame_id: int | None = None, **inputs: Any) -> int:
        """As `InferenceStream.send`; waits until the frame is on its way.

        At most `frames_ahead` frames may have no result yet, the one that is sent included: `receive` before you send
        another. The server reads no further until it has written the result that is due. Where frames and results are
        large neither side can write then before the other one reads, and `send` never returns.
        """
        if self._ended:
            raise LocalError("the stream takes no frames any more")
        message = self._said.frame(frame_id, inputs)
        sent = self._said.unanswered[-1]
        await self._write(message)
        return sent

    async def receive(self) -> FrameResult:
        """As `InferenceStream.receive`."""
        if not self._said.unanswered:
            raise LocalError("no frame waits for a result")
        return self._said.result(await self._read())

    async def run(
        self, frames: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
    ) -> AsyncIterator[FrameResult]:
        """As `InferenceStream.run`, for ``async for``."""
        async for inputs in _each(frames):
            # Not after it: a write waits while the server reads no more, and the server reads no more before this side
            # takes the result that is due.
            while self._said.unanswered and len(self._said.unanswered) >= self.frames_ahead:
                yield await self.receive()
            await self.send(**inputs)
        while self._said.unanswered:
            yield await self.receive()

    async def end(self) -> None:
        """As `InferenceStream.end`."""
        if not self._ended:
            self._ended = True
            await self._call.done_writing()

    async def close(self) -> None:
        """As `InferenceStream.close`."""
        self._ended = True
        self._call.cancel()
        await asyncio.sleep(0)

    async def _write(self, message: bytes) -> None:
        try:
            await self._call.write(message)
        except grpc.RpcError as error:
            raise self._said.broken(error) from None
        except asyncio.InvalidStateError:
            # The stream is over already: the reader has the reason.
            await self._read()

    async def _read(self) -> bytes:
        try:
            data = await self._call.read()
        except grpc.RpcError as error:
            self._ended = True
            raise self._said.broken(error) from None
        if data is _EOF:
            raise LocalError("the server ended the stream before its last result")
        return data


async def _each(frames: Any) -> AsyncIterator[Any]:
    if hasattr(frames, "__aiter__"):
        async for each in frames:
            yield each
    else:
        for each in frames:
            yield each
