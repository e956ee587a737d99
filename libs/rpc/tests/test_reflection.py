"""Reflection, both versions."""

import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as alpha_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc as alpha_grpc

from swath.api import CUVIS
from swath.reflection.v1 import reflection_pb2, reflection_pb2_grpc

VERSIONS = {
    "v1": (reflection_pb2.ServerReflectionRequest, reflection_pb2_grpc.ServerReflectionStub),
    "v1alpha": (alpha_pb2.ServerReflectionRequest, alpha_grpc.ServerReflectionStub),
}


@pytest.fixture(params=VERSIONS)
async def ask(request, serve):
    part = await serve({})
    question, stub = VERSIONS[request.param]

    async def ask(**fields):
        call = stub(part.channel).ServerReflectionInfo(iter([question(**fields)]))
        return await call.read()

    return ask


async def test_lists_the_api_health_and_itself(ask):
    answer = await ask(list_services="*")
    names = {service.name for service in answer.list_services_response.service}
    assert names == {
        CUVIS,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_describes_a_service(ask):
    answer = await ask(file_containing_symbol=CUVIS)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert any(method.name == "Train" for file in files for service in file.service for method in service.method)


async def test_an_unknown_symbol_is_an_error_answer(ask):
    answer = await ask(file_containing_symbol="nothing.Here")
    assert answer.error_response.error_code == 5
