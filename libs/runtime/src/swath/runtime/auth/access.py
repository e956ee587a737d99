"""Who may call what, asked before anything of a call is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc

from swath.api import ROUTES
from swath.rpc.caller import set_caller
from swath.rpc.server.handlers import Continuation, answers_of, behaviour, shape, with_behaviour
from swath.rpc.server.interceptor import end_call
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.auth.authorization import require_granted
from swath.runtime.auth.identity import peer_uri


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Lets pass who may, and says who calls.

    Guards the methods of the given handlers: health, reflection and the refusal of unknown methods are for everybody.

    Args:
        handlers: What is guarded.
        authenticator: Tells who calls public methods; None asks nobody.
        table: Whether the table of services holds: for every method, or behind no gateway for private ones.
        behind_gateway: Whether public methods are for the gateway alone to call.
    """

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        authenticator: Authenticator | None,
        *,
        table: bool,
        behind_gateway: bool,
    ) -> None:
        self._handlers = handlers
        self._authenticator = authenticator
        self._table = table
        self._behind_gateway = behind_gateway

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(handler_call_details)
        if handler is None or all(each.service(handler_call_details) is None for each in self._handlers):
            return handler
        return _guarded(handler, handler_call_details.method, self._admit)

    async def _admit(self, method: str, context: grpc.aio.ServicerContext) -> None:
        peer = peer_uri(context.auth_context())
        public = method in ROUTES
        if self._table and (self._behind_gateway or not public):
            require_granted(method, peer)
        if self._authenticator is not None and public:
            set_caller(await self._authenticator.identify(context.invocation_metadata() or (), peer))


def _guarded(
    handler: grpc.RpcMethodHandler,
    method: str,
    admit: Callable[[str, grpc.aio.ServicerContext], Awaitable[None]],
) -> grpc.RpcMethodHandler:
    inner = behaviour(handler)

    async def admitted(context: grpc.aio.ServicerContext) -> None:
        try:
            await admit(method, context)
        except BaseException as error:
            await end_call(method, error, context)

    async def single(request: Any, context: grpc.aio.ServicerContext) -> Any:
        await admitted(context)
        return await inner(request, context)

    async def stream(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        await admitted(context)
        async with answers_of(inner(request, context)) as answers:
            async for answer in answers:
                yield answer

    return with_behaviour(handler, stream if shape(handler)[1] else single)
