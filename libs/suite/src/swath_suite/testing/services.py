"""Servers of the parts that rpc and runtime are made of, and channels to them. Fixtures: conftest files import them."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from swath.api import CUVIS, SESSION_AUTHORITY
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.rpc.caller import caller
from swath.rpc.channels import channel
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler, whole_handler
from swath.runtime.auth.certificates import Authority
from swath.runtime.server import Server
from swath.runtime.settings import ConnectionSettings, ServerSettings
from swath.session.v1 import session_pb2


@pytest.fixture
async def serve() -> AsyncIterator[Callable]:
    """Starts servers of slices; each gives its health board, a channel to it and a stub."""
    started = []

    async def start(parts: dict[str, object], others: Iterable[str] = (), **settings) -> SimpleNamespace:
        board = HealthBoard(parts, others)
        handlers = [slice_handler(CUVIS, part, servicer) for part, servicer in parts.items()]
        server = Server(ServerSettings(port=0, drain_grace_s=5, **settings), handlers, (CUVIS,), board)
        await server.start()
        plain = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        started.append((server, plain))
        return SimpleNamespace(
            server=server, health=board, channel=plain, stub=cuvis_ai_pb2_grpc.CuvisAIServiceStub(plain)
        )

    yield start
    for server, plain in started:
        await plain.close()
        await server.drain()


class WhoAmI:
    """A session service that answers with the name of who calls."""

    async def CreateSession(self, request, context):
        who = caller()
        return pb.CreateSessionResponse(session_id="nobody" if who is None else f"{who.name} by {who.way}")

    async def SetSessionSearchPaths(self, request, context):
        return pb.SetSessionSearchPathsResponse()

    async def CloseSession(self, request, context):
        return pb.CloseSessionResponse()

    async def ReadSessions(self, request, context):
        return session_pb2.ReadSessionsResponse()

    async def AddSession(self, request, context):
        return session_pb2.AddSessionResponse()

    async def UpdateSession(self, request, context):
        return session_pb2.UpdateSessionResponse()

    async def RemoveSession(self, request, context):
        return session_pb2.RemoveSessionResponse()

    async def WatchGone(self, request, context):
        for number in range(1000):
            yield session_pb2.WatchGoneResponse(ids=[str(number)])

    async def WatchRecalls(self, request, context):
        yield session_pb2.WatchRecallsResponse()

    async def ReturnLeases(self, request, context):
        return session_pb2.ReturnLeasesResponse()


@pytest.fixture
def who_am_i() -> WhoAmI:
    return WhoAmI()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certs")


def files(folder: Path) -> dict[str, Path]:
    """The TLS settings of who has a certificate in this folder."""
    return {"tls_cert": folder / "tls.crt", "tls_key": folder / "tls.key", "tls_ca": folder / "ca.crt"}


@pytest.fixture
async def session_service(authority: Authority, who_am_i: WhoAmI) -> AsyncIterator[Callable]:
    """Starts session services with TLS that say who calls."""
    started: list[Server] = []

    async def start(*, behind_gateway: bool = True, tls: dict[str, Path] | None = None, **settings) -> Server:
        board = HealthBoard(("session",))
        handlers = [slice_handler(CUVIS, "session", who_am_i), whole_handler(SESSION_AUTHORITY, who_am_i)]
        chosen = {"port": 0, "drain_grace_s": 1, **settings}
        chosen |= files(authority.issue_service("session")) if tls is None else tls
        server = Server(ServerSettings(**chosen), handlers, (CUVIS,), board, behind_gateway=behind_gateway)
        await server.start()
        await board.set_ready("session")
        started.append(server)
        return server

    yield start
    for server in started:
        await server.drain()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., grpc.aio.Channel]]:
    """Opens channels to a service as whoever has a certificate in a folder."""
    opened: list[grpc.aio.Channel] = []

    def to(server: Server, folder: Path | None, service: str = "session", **settings) -> grpc.aio.Channel:
        tls = files(folder) if folder else {}
        made = channel(f"127.0.0.1:{server.port}", service, ConnectionSettings(**tls, **settings))
        opened.append(made)
        return made

    yield to
    for made in opened:
        await made.close()
