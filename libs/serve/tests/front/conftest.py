"""A front over applications of the same process."""

import asyncio
import socket
from types import SimpleNamespace

import grpc
import pytest

from swath.serve import front
from swath.serve.config import gRPCOptions

from .local import LocalApplications


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


async def until(condition) -> None:
    """Wait until something holds; the test's own time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - what is waited for is anything
        await asyncio.sleep(0.01)
