"""Swath's server and Triton's client in one interpreter: both know messages by the same names."""

import subprocess
import sys

from .clients.environment import install

PROGRAM = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])  # before ours: Triton's client wants a newer gRPC
import grpc
import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.grpc import service_pb2
from swath.api import OPEN_INFERENCE
from swath.inference import open_inference_pb2
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath_inference.protocols.oip.servicer import OpenInferenceServicer
from swath_inference.protocols.oip.shared_memory import SystemSharedMemory

assert service_pb2.ModelInferRequest.DESCRIPTOR.file.pool is not open_inference_pb2.DESCRIPTOR.pool


async def main():
    servicer = OpenInferenceServicer(
        ready=lambda: True, inference=None, streams=None, repository=None, traits=None, statistics=None,
        memory=SystemSharedMemory(), logs=None, traced=False,
    )
    handlers = [slice_handler(OPEN_INFERENCE, "inference", servicer)]
    server = Server(ServerSettings(port=0, drain_grace_s=1), handlers, (OPEN_INFERENCE,), HealthBoard(("inference",)))
    await server.start()
    async with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        assert await client.is_server_ready()
        assert (await client.get_server_metadata()).name == "swath"
    await server.drain()

asyncio.run(main())
print("both")
"""


def test_both_are_imported_and_speak_to_one_another():
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = install("triton").parents[1] / "lib" / version / "site-packages"
    command = [sys.executable, "-c", PROGRAM, str(packages)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines()[-1:] == ["both"], done.stderr[-3000:]
