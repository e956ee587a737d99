"""The edge between gRPC and all that is around a call here: what must hold for every call, whatever its kind."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc

from swath.rpc.server.handlers import MAKERS, Continuation, answers_of, behaviour, shape

_EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it
_LEAVING_S = 0.05
"""To gRPC, a client that leaves at once looks like one that sends nothing, until its cancellation arrives."""


class OutermostInterceptor(grpc.aio.ServerInterceptor):
    """Stands between gRPC and all other interceptors. To be registered first.

    - A call that should carry one message and carries none reaches the handler too, with None: gRPC would forget it,
      and its client would wait for ever. `CallInterceptor` refuses it.
    - Answers that are streams end before gRPC forgets their call, also when the client leaves in the middle. gRPC drops
      the generator of a call that is cancelled. Whatever it and those within it do at their end would then happen when
      they are collected, with a call that is no more: asked for its peer, it takes the process down.
    - What a call raises leaves without its frames. gRPC keeps the error that aborts a call with the call, and frames
      hold the call, the request and all that was made of it: a cycle, which would stay until garbage is collected. That
      may be gigabytes later.
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        requests_stream, answers_stream = shape(handler)
        inner = behaviour(handler)
        begin = _writing(inner) if answers_stream else inner

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            call = begin(request if requests_stream else await _one(context), context)
            # This frame is in the traceback that gRPC keeps.
            del request, context
            try:
                return await call
            except BaseException as error:
                forget_frames(error)
                raise

        # All requests are streams to gRPC: only there can a message be missing without the call being forgotten.
        return MAKERS[True, answers_stream](
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an error and of all that led to it."""
    seen: set[int] = set()
    open_ends: list[BaseException | None] = [error]
    while open_ends:
        each = open_ends.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        open_ends += (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))


async def _one(context: grpc.aio.ServicerContext) -> Any:
    """Return the message of a call that carries one; None where it carries none."""
    request = await context.read()
    if request is not _EOF:
        return request
    await asyncio.sleep(_LEAVING_S)
    return None


def _writing(answers: Any) -> Any:
    """Return a function that writes the answers of another one, which gives them as a stream."""

    async def write(request: Any, context: grpc.aio.ServicerContext) -> None:
        async with answers_of(answers(request, context)) as each:
            async for answer in each:
                await context.write(answer)

    return write
