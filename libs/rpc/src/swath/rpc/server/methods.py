"""The part of a gRPC service that one Swath service answers.

Every Swath service registers its own methods of cuvis_ai.v1.CuvisAIService under that very name. The generated
`add_..._to_server` functions register all methods of a service at once, and the last caller would win; here the
registry says which ones belong to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import message_factory

from swath.api import REGISTRY, Registry
from swath.api.descriptors import find_service
from swath.errors import Unsupported
from swath.rpc.server.handlers import MAKERS

Method = TypeVar("Method", bound=Callable[..., Any])

_CODEC = "_swath_codec"


class Methods(grpc.GenericRpcHandler):
    """Methods with their handlers, which can be listed.

    Args:
        service: Full name of their gRPC service.
        handlers: By the names of the methods.

    Attributes:
        by_path: The handlers by the methods' full paths.
    """

    def __init__(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self.by_path = {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self.by_path.get(handler_call_details.method)


def slice_handler(service: str, part: str, servicer: Any, *, registry: Registry = REGISTRY) -> Methods:
    """Return the handlers of the methods of a gRPC service that a Swath service owns.

    Args:
        service: Full name of the gRPC service, such as "cuvis_ai.v1.CuvisAIService". Its proto must be imported.
        part: Name of the Swath service, such as "training".
        servicer: Has an async method of each owned method's name.
        registry: Which methods it owns.

    Raises:
        AttributeError: The servicer lacks a method that the registry gives to its service.
        LookupError: The registry has no such service.
    """
    owned = registry.service(part).methods(service)
    return Methods(service, _handlers(find_service(service), owned, servicer))


def whole_handler(service: str, servicer: Any) -> Methods:
    """Return the handlers of all methods of a gRPC service that is private to one Swath service."""
    return described_handler(find_service(service), servicer)


def described_handler(service: Any, servicer: Any) -> Methods:
    """Return the handlers of all methods of a gRPC service that no registry knows.

    Args:
        service: Its descriptor.
        servicer: Has an async method of each method's name.
    """
    names = tuple(method.name for method in service.methods)
    return Methods(service.full_name, _handlers(service, names, servicer))


def _handlers(service: Any, names: tuple[str, ...], servicer: Any) -> dict[str, grpc.RpcMethodHandler]:
    methods = service.methods_by_name
    handlers = {}
    for name in names:
        method, answer = methods[name], getattr(servicer, name)
        make = MAKERS[method.client_streaming, method.server_streaming]
        read, write = getattr(answer, _CODEC, None) or (
            message_factory.GetMessageClass(method.input_type).FromString,
            message_factory.GetMessageClass(method.output_type).SerializeToString,
        )
        handlers[name] = make(answer, request_deserializer=read, response_serializer=write)
    return handlers


def in_bytes(read: Callable[[bytes], Any]) -> Callable[[Method], Method]:
    """Mark a servicer's method whose messages are not to go through protobuf as they are: it returns bytes.

    Args:
        read: Makes what the method takes of the bytes of a request.
    """

    def mark(method: Method) -> Method:
        setattr(method, _CODEC, (read, None))
        return method

    return mark


class FallbackHandler(grpc.GenericRpcHandler):
    """Answers what no slice does: UNIMPLEMENTED, with the name of the service that owns the method. Asked last.

    Args:
        registry: Which service owns which method.
    """

    def __init__(self, registry: Registry = REGISTRY) -> None:
        self._registry = registry

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        return grpc.stream_stream_rpc_method_handler(_refusal(method, self._registry.owner(method)))


def _refusal(method: str, part: str | None) -> Any:
    async def refuse(requests: Any, context: grpc.aio.ServicerContext) -> NoReturn:
        if part is None:
            raise Unsupported(f"there is no method {method} in this suite", metadata={"method": method})
        raise Unsupported(
            f"{method} is answered by the service {part!r}, not by this one: call it through the gateway, or there",
            metadata={"method": method, "service": part},
        )

    return refuse
