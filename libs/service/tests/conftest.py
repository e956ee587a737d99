from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import grpc
import pytest

from swath.api import CUVIS
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.service import HealthBoard, Server, ServerSettings, slice_handler


@pytest.fixture
async def serve() -> AsyncIterator[Callable]:
    """Starts servers of slices; each gives its health board, a channel to it and a stub."""
    started = []

    async def start(parts: dict[str, object], **settings) -> SimpleNamespace:
        board = HealthBoard(parts)
        handlers = [slice_handler(CUVIS, part, servicer) for part, servicer in parts.items()]
        server = Server(ServerSettings(port=0, drain_grace_s=5, **settings), handlers, (CUVIS,), board)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        started.append((server, channel))
        return SimpleNamespace(
            server=server, health=board, channel=channel, stub=cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel)
        )

    yield start
    for server, channel in started:
        await channel.close()
        await server.drain()
