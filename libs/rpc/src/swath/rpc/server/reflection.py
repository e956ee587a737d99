"""Server reflection, v1 and v1alpha, over one lookup.

The two versions differ in their package name only, so v1 questions are answered by the v1alpha servicer of
grpcio-reflection and its answers are read back as v1 messages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from functools import lru_cache
from itertools import chain
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection as alpha
from grpc_reflection.v1alpha import reflection_pb2 as alpha_pb2
from grpc_reflection.v1alpha.reflection import aio

from swath.api.descriptors import pools
from swath.reflection.v1 import reflection_pb2, reflection_pb2_grpc
from swath.rpc.server.methods import Methods, whole_handler

SERVICES = (alpha.SERVICE_NAME, reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name)


class _Pools:
    """Several descriptor pools as one, with as much of a pool as the servicer asks for."""

    def __init__(self, more: Callable[[], Iterable[Any]]) -> None:
        self._more = more

    def FindFileByName(self, name: str) -> Any:
        return self._first(lambda pool: pool.FindFileByName(name))

    def FindFileContainingSymbol(self, name: str) -> Any:
        return self._first(lambda pool: pool.FindFileContainingSymbol(name))

    def FindMessageTypeByName(self, name: str) -> Any:
        return self._first(lambda pool: pool.FindMessageTypeByName(name))

    def FindExtensionByNumber(self, message: Any, number: int) -> Any:
        return message.file.pool.FindExtensionByNumber(message, number)

    def FindAllExtensions(self, message: Any) -> Any:
        return message.file.pool.FindAllExtensions(message)

    def _first(self, find: Callable[[Any], Any]) -> Any:
        """Return what is found in the first of the pools that has it.

        Raises:
            KeyError: None has.
        """
        for pool in chain(self._more(), pools()):
            try:
                return find(pool)
            except KeyError:
                continue
        raise KeyError


class _Servicer(aio.ReflectionServicer):
    """The package's, with services that may come and go.

    It answers with the names that fields have in JSON, which generated code may lack: clients do not work them out.
    """

    def __init__(self, names: Callable[[], Iterable[str]], pool: Any) -> None:
        super().__init__((), pool=pool)
        self._names = names

    def _list_services(self, request: Any) -> Any:
        self._service_names = tuple(sorted({*self._names(), *SERVICES}))
        inherited: Any = super()
        return inherited._list_services(request)

    # The stub file calls it a coroutine; it is an async generator.
    async def ServerReflectionInfo(self, request_iterator: Any, unused_context: Any) -> Any:
        answers: Any = super().ServerReflectionInfo(request_iterator, unused_context)
        async for answer in answers:
            if answer.HasField("file_descriptor_response"):
                files = answer.file_descriptor_response.file_descriptor_proto
                files[:] = map(_with_json_names, files)
            yield answer


@lru_cache(maxsize=256)
def _with_json_names(data: bytes) -> bytes:
    file = FileDescriptorProto.FromString(data)
    for message in file.message_type:
        _name_fields(message)
    return file.SerializeToString()


def _name_fields(message: DescriptorProto) -> None:
    for field in message.field:
        if not field.json_name:
            first, *rest = field.name.split("_")
            field.json_name = first + "".join(part[:1].upper() + part[1:] for part in rest)
    for nested in message.nested_type:
        _name_fields(nested)


class _Version1(reflection_pb2_grpc.ServerReflectionServicer):
    def __init__(self, servicer: aio.ReflectionServicer) -> None:
        self._servicer = servicer

    async def ServerReflectionInfo(
        self, request_iterator: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Any
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        async def questions() -> AsyncIterator[alpha_pb2.ServerReflectionRequest]:
            async for request in request_iterator:
                yield alpha_pb2.ServerReflectionRequest.FromString(request.SerializeToString())

        # The stub file calls it a coroutine; it is an async generator.
        answers: Any = self._servicer.ServerReflectionInfo(questions(), context)
        async for answer in answers:
            yield reflection_pb2.ServerReflectionResponse.FromString(answer.SerializeToString())


def reflection_handlers(names: Iterable[str]) -> tuple[Methods, ...]:
    """Return the handlers by which clients find the services of these full names, and reflection itself."""
    fixed = tuple(names)
    return changing_reflection_handlers(lambda: fixed, lambda: ())


def changing_reflection_handlers(
    names: Callable[[], Iterable[str]], more: Callable[[], Iterable[Any]]
) -> tuple[Methods, ...]:
    """Return the handlers by which clients find services that come and go, and reflection itself.

    Args:
        names: Returns the full names of the services that there are now.
        more: Returns the descriptor pools that hold them, beside those of the suite's own API.
    """
    servicer = _Servicer(names, _Pools(more))
    return tuple(
        whole_handler(service, answers)
        for service, answers in zip(SERVICES, (servicer, _Version1(servicer)), strict=True)
    )
