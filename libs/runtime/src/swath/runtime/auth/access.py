"""Who may call what, checked before anything of a call is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc

from swath.api import REGISTRY, Registry
from swath.rpc.caller import set_caller
from swath.rpc.server.handlers import Continuation, answers_of, behaviour, shape, with_behaviour
from swath.rpc.server.interceptor import end_call
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.auth.authorization import require_granted
from swath.runtime.auth.identity import peer_uri


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls that are not permitted, and sets who calls for the others.

    Guards the methods of the given handlers: health, reflection and the refusal of unknown methods are for everybody.

    Args:
        handlers: What is guarded.
        authenticator: Identifies who calls public methods; None identifies nobody.
        table: Whether the registry's grants hold: for every method, or behind no gateway for private ones.
        behind_gateway: Whether public methods are for the gateway alone to call.
        registry: Which methods are public, and who may call what.
    """

    def __init__(
        self,
        handlers: Sequence[grpc.GenericRpcHandler],
        authenticator: Authenticator | None,
        *,
        table: bool,
        behind_gateway: bool,
        registry: Registry = REGISTRY,
    ) -> None:
        self._registry = registry
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
        public = method in self._registry.routes
        if self._table and (self._behind_gateway or not public):
            require_granted(method, peer, self._registry)
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
