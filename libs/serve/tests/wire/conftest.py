"""Applications in replicas, called over the wire."""

import importlib
import shutil
import sys
from pathlib import Path

import grpc
import pytest

from swath import serve
from swath.serve.config import gRPCOptions

USER = Path(__file__).parent / "user"


@pytest.fixture(scope="module")
def wire(probe, tmp_path_factory):
    """A host; deploys what a test asks for, and gives channels to it."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copy(USER / "wire_app.py", folder)
    sys.path.insert(0, str(folder))
    serve.start(grpc_options=gRPCOptions(port=0, grpc_servicer_functions=probe.functions, access_log=False))
    yield importlib.import_module("wire_app")
    serve.shutdown()
    sys.path.remove(str(folder))


@pytest.fixture
async def channel(wire):
    async with grpc.aio.insecure_channel(serve.address() or "") as channel:
        yield channel


@pytest.fixture
def stub(channel, probe):
    return probe.grpc.ProbeStub(channel)


@pytest.fixture
def ask(probe):
    return probe.pb.Ask
