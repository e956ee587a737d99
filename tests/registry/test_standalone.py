"""Standalone is made of every service of the registry."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.api import OPEN_INFERENCE, PUBLIC, ROUTES, SERVICES
from swath_standalone.process import ServerProcess


@pytest.mark.parametrize("name", ["", *PUBLIC, *(service.health_name for service in SERVICES)])
def test_health_knows_every_name(server: ServerProcess, name: str) -> None:
    with grpc.insecure_channel(server.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def _code(server: ServerProcess, path: str) -> grpc.StatusCode:
    """Return how a call with an empty request ends."""
    with grpc.insecure_channel(server.target) as channel:
        try:
            list(channel.stream_stream(path)(iter([b""]), timeout=30))
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return grpc.StatusCode.OK


# Of the protocol, and offered by nobody here: its server says so.
NOT_OFFERED = {f"/{OPEN_INFERENCE}/CudaSharedMemory{name}" for name in ("Status", "Register", "Unregister")}


@pytest.mark.parametrize("path", sorted(ROUTES.keys() - NOT_OFFERED))
def test_every_public_method_is_answered(server: ServerProcess, path: str) -> None:
    assert _code(server, path) is not grpc.StatusCode.UNIMPLEMENTED


PRIVATE = [
    part.path(method)
    for service in SERVICES
    for part in service.owns
    for method in part.methods
    if not part.grpc.public
]


@pytest.mark.parametrize("path", PRIVATE)
def test_no_private_method_is_served(server: ServerProcess, path: str) -> None:
    assert _code(server, path) is grpc.StatusCode.UNIMPLEMENTED
