"""ModelStreamInfer: answers in the order of requests, whatever becomes of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from swath.errors import Unavailable
from swath.inference import open_inference_pb2 as pb
from swath.rpc.server.failures import forget_frames, told_of
from swath.rpc.status import short
from swath_inference.dataplane.streaming.ordered import Ordered
from swath_inference.protocols.oip.infer import Inference
from swath_inference.protocols.oip.messages import InferMessage
from swath_inference.protocols.oip.shared_memory import Client

_AHEAD = 64
"""Requests of a stream that are taken ahead of the answer that is due: they may be computed together."""
_AHEAD_BYTES = 64 * 1024**2
"""Bytes of them; one request may have more."""
_METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"


class Streams:
    """The streams that are open. One that idles holds two tasks, and no thread.

    Args:
        inference: Answers requests.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._open: set[Ordered[InferMessage, bytes]] = set()
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    async def answers(
        self, requests: AsyncIterator[InferMessage], client: Client, *, by_status: bool
    ) -> AsyncGenerator[bytes, None]:
        """Iterate over the answers of a stream.

        Args:
            requests: As they come.
            client: Who calls, and from where.
            by_status: Whether the first request that fails ends the stream with its status; otherwise it is answered by
                a message that tells of it.

        Raises:
            Unavailable: This replica drains.
            SwathError: A request has failed, and such errors end this stream.
        """
        if self._draining:
            raise _goes_away()
        window = _Window(_AHEAD_BYTES)

        async def answer(message: InferMessage) -> bytes:
            try:
                return await self._inference.infer(message, client, on_stream=True)
            except Exception as error:
                if by_status:
                    raise
                told = _error(message, error)
                # They hold the request's tensors, in a circle that only a garbage collection would end.
                forget_frames(error)
                return told
            finally:
                window.leave(message.size)

        ordered = Ordered(window.through(requests), answer, _AHEAD)
        self._open.add(ordered)
        try:
            async with aclosing(ordered.results()) as results:
                async for each in results:
                    yield each
        finally:
            self._open.discard(ordered)

    def drain(self) -> None:
        """End all streams after the answers that are due, and open no more."""
        self._draining = True
        for each in self._open:
            each.stop(_goes_away())


class _Window:
    """Lets requests through up to a number of bytes that are not answered yet."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._left = asyncio.Event()

    async def through(self, requests: AsyncIterator[InferMessage]) -> AsyncGenerator[InferMessage, None]:
        async for message in requests:
            self._held += message.size
            yield message
            while self._held >= self._limit:
                self._left.clear()
                await self._left.wait()

    def leave(self, size: int) -> None:
        self._held -= size
        self._left.set()


def _error(message: InferMessage, error: Exception) -> bytes:
    """Return the message that tells of a request that failed."""
    told = told_of(error, method=_METHOD)
    response = pb.ModelInferResponse(id=message.request.id, model_name=message.request.model_name)
    response.parameters["triton_final_response"].bool_param = True
    return pb.ModelStreamInferResponse(error_message=short(told.message), infer_response=response).SerializeToString()


def _goes_away() -> Unavailable:
    return Unavailable("this replica goes away; open the stream again, and another one answers")
