"""Users' protobuf services, read off the functions that add their servicers to a server.

What is read can be sent to another process: a server that knows the methods and the descriptors of a service needs none
of its user's modules.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from swath.errors import InvalidInput
from swath.serve.exchange import Method

ServicerFunction = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Service:
    """A protobuf service of a user.

    Attributes:
        name: Full name: "pkg.Service".
        methods: All of its methods.
        files: Serialized descriptors of its proto file and of all that this imports, each after what it imports.
    """

    name: str
    methods: tuple[Method, ...]
    files: tuple[bytes, ...]

    @cached_property
    def pool(self) -> Any:
        """A descriptor pool of its files and nothing else: two users' protos may use the same names."""
        pool = descriptor_pool.DescriptorPool()
        for each in self.files:
            pool.AddSerializedFile(each)
        return pool


def read_services(functions: Iterable[str | ServicerFunction]) -> tuple[Service, ...]:
    """Return the services whose servicers some functions add to a server.

    Args:
        functions: `add_..._to_server` of modules that grpcio-tools has made, or their import paths,
            "module.add_..._to_server".

    Raises:
        InvalidInput: One cannot be imported, is no such function, or two give services of one name that differ. The
            text names it, and the nearest right one.
    """
    found: dict[str, Service] = {}
    for each in functions:
        for service in _services_of(each):
            known = found.setdefault(service.name, service)
            if known != service:
                raise InvalidInput(f"grpc_servicer_functions: {_named(each)} gives another {service.name} than before")
    return tuple(found.values())


def import_function(path: str) -> ServicerFunction:
    """Return the function of an import path.

    Raises:
        InvalidInput: There is none. The text names the part that is wrong.
    """
    module_name, _, name = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise InvalidInput(f"grpc_servicer_functions: expected module.function, got {path!r}")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"grpc_servicer_functions: {path}: importing {module_name} failed: {what}") from error
    function = getattr(module, name, None)
    if not callable(function):
        there = [each for each in vars(module) if each.startswith("add_") and each.endswith("_to_server")]
        near = difflib.get_close_matches(name, there, n=1) or there[:3]
        hint = f"; it has {', '.join(near)}" if near else "; it has no function add_..._to_server"
        raise InvalidInput(f"grpc_servicer_functions: {path}: module {module_name} has no function {name}{hint}")
    return cast(ServicerFunction, function)


def _named(function: str | ServicerFunction) -> str:
    return function if isinstance(function, str) else getattr(function, "__qualname__", repr(function))


def _services_of(function: str | ServicerFunction) -> Iterable[Service]:
    listener = _Listener()
    add = import_function(function) if isinstance(function, str) else function
    try:
        add(_AnyServicer(), listener)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidInput(
            f"grpc_servicer_functions: {_named(function)} is no function that adds a servicer to a server: {what}"
        ) from error
    if not listener.handlers:
        raise InvalidInput(
            f"grpc_servicer_functions: {_named(function)} is no function that adds a servicer to a server: it adds none"
        )
    return [_service(_named(function), name, handlers) for name, handlers in listener.handlers.items()]


class _AnyServicer:
    """Has every method, so that a servicer function finds those that it registers."""

    def __getattr__(self, name: str) -> Any:
        return self._nothing

    @staticmethod
    def _nothing(request: Any, context: Any) -> None: ...


class _Listener:
    """Stands for a server, and notes what is registered with it.

    Attributes:
        handlers: By the name of the service and that of the method.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, dict[str, grpc.RpcMethodHandler]] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        for each in handlers:
            # By full path: the one place where code that older tools have made has them.
            by_path: dict[str, grpc.RpcMethodHandler] = each._method_handlers
            names = {path.rpartition("/")[2]: handler for path, handler in by_path.items()}
            self.handlers.setdefault(each.service_name(), names)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, grpc.RpcMethodHandler]) -> None:
        self.handlers[service] = dict(handlers)


def _service(function: str, name: str, handlers: dict[str, grpc.RpcMethodHandler]) -> Service:
    descriptor = next((found for each in handlers.values() if (found := _descriptor(name, each)) is not None), None)
    if descriptor is None:
        raise InvalidInput(f"grpc_servicer_functions: {function}: {name} is no service of a proto file")
    methods = tuple(
        Method(
            name=each.name,
            path=f"/{name}/{each.name}",
            request_streaming=each.client_streaming,
            response_streaming=each.server_streaming,
            request_type=each.input_type.full_name,
            response_type=each.output_type.full_name,
        )
        for each in descriptor.methods
    )
    files: dict[str, bytes] = {}
    _collect(descriptor.file, files)
    return Service(name, methods, tuple(files.values()))


def _descriptor(name: str, handler: grpc.RpcMethodHandler) -> Any:
    """Return the descriptor of a service, from the pool of the message that one of its methods takes."""
    message: Any = getattr(handler.request_deserializer, "__self__", None)
    try:
        return message.DESCRIPTOR.file.pool.FindServiceByName(name)
    except (AttributeError, KeyError):
        return None


def _collect(file: Any, files: dict[str, bytes]) -> None:
    if file.name in files:
        return
    for each in file.dependencies:
        _collect(each, files)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    files[file.name] = copy.SerializeToString(deterministic=True)
