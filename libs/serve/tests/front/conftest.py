"""A front over applications of the same process."""

import asyncio
import importlib
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from grpc_tools import protoc

from swath.serve import front
from swath.serve.config import gRPCOptions

from .local import LocalApplications

PROTOS = Path(__file__).parents[1] / "protos"


@pytest.fixture(scope="session")
def probe(tmp_path_factory) -> SimpleNamespace:
    """The modules of wire_probe.proto, to be imported by their names as those of users are."""
    folder = tmp_path_factory.mktemp("protos")
    status = protoc.main(
        ["protoc", f"-I{PROTOS}", f"--python_out={folder}", f"--grpc_python_out={folder}", "wire_probe.proto"]
    )
    assert status == 0
    sys.path.insert(0, str(folder))
    yield SimpleNamespace(
        pb=importlib.import_module("wire_probe_pb2"),
        grpc=importlib.import_module("wire_probe_pb2_grpc"),
        folder=folder,
        functions=(
            "wire_probe_pb2_grpc.add_ProbeServicer_to_server",
            "wire_probe_pb2_grpc.add_OtherServicer_to_server",
        ),
    )
    sys.path.remove(str(folder))


@pytest.fixture
async def served(probe):
    """Starts fronts; each with its applications, a channel, a stub, and a call that gives how it ended."""
    started = []

    async def start(**options):
        applications = LocalApplications(probe.pb.DESCRIPTOR.pool)
        settings = gRPCOptions(port=0, grpc_servicer_functions=probe.functions, **{"access_log": False, **options})
        server = await front.serve(applications, settings)
        channel = grpc.aio.insecure_channel(str(server.address))
        started.append((server, channel))
        return SimpleNamespace(
            applications=applications,
            front=server,
            channel=channel,
            stub=probe.grpc.ProbeStub(channel),
            ask=probe.pb.Ask,
            answer=probe.pb.Answer,
        )

    yield start
    for server, channel in started:
        await channel.close()
        await server.stop(1.0)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


async def ended(call) -> SimpleNamespace:
    """How a call ended: its code, details, trailers, and the messages before."""
    messages = []
    try:
        if hasattr(call, "__aiter__"):
            async for each in call:
                messages.append(each)
        else:
            messages.append(await call)
    except grpc.aio.AioRpcError as error:
        return SimpleNamespace(
            code=error.code(), details=error.details(), trailers=tuple(error.trailing_metadata()), messages=messages
        )
    trailers = tuple(await call.trailing_metadata())
    return SimpleNamespace(code=await call.code(), details=await call.details(), trailers=trailers, messages=messages)


async def until(condition) -> None:
    """Wait until something holds; the test's own time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - what is waited for is anything
        await asyncio.sleep(0.01)
