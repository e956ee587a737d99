"""The apps service as its process serves it, over a real controller and real replicas."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from swath.apps.v1 import apps_pb2 as pb
from swath.apps.v1.apps_pb2_grpc import ApplicationServiceStub
from swath.rpc.server.health import HealthBoard
from swath.runtime.assembly import Deps
from swath.runtime.logs import Telemetry
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.serve.bundles import pack
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath_apps import AppsSettings, build
from swath_suite.testing.greeting import CONFIG, GREET, hello, said, write_greeting

TOKENS = {name: f"token-of-{name}" for name in ("alice", "bob")}


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application and its proto, as users have them."""
    return write_greeting(tmp_path_factory.mktemp("code"))


class Served:
    """A server with the apps service, and a client of it.

    Args:
        channel: To the server.
    """

    def __init__(self, channel: grpc.aio.Channel, server: Server) -> None:
        self.channel = channel
        self.server = server
        self.stub: Any = ApplicationServiceStub(channel)

    async def put(self, folder: Path, who: str = "") -> str:
        """Store the code of a folder; return its digest."""
        data = pack(folder)
        pieces = [pb.PutBundleRequest(data=data[at : at + 1000]) for at in range(0, len(data), 1000)]
        return (await self.stub.PutBundle(iter(pieces), metadata=_said(who))).digest

    async def deploy(self, config: str, bundle: str, who: str = "", *, wait: bool = True) -> list[pb.DeployResponse]:
        """Deploy; return all that was answered."""
        request = pb.DeployRequest(config=config, file="config.yaml", bundles={"": bundle}, wait=wait)
        return [each async for each in self.stub.Deploy(request, metadata=_said(who))]

    async def states(self, who: str = "") -> dict[str, str]:
        """What status says of each application."""
        answer = await self.stub.Status(pb.StatusRequest(), metadata=_said(who))
        return {each.name: each.status for each in answer.applications}

    async def greet(self, name: str = "Ada", who: str = "", application: str = "greet") -> str:
        """Call the users' service."""
        call: Any = self.channel.unary_unary(GREET, hello, said)
        return await call(name, metadata=(*_said(who), ("application", application)), timeout=30)


def _said(who: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {TOKENS[who]}"),) if who else ()


@asynccontextmanager
async def serving(state: Path, *, auth: bool = False, **settings: Any) -> AsyncIterator[Served]:
    """Serve from a folder; whoever serves from it again finds what was deployed."""
    tokens: dict[str, Any] = {name: hashlib.sha256(each.encode()).hexdigest() for name, each in TOKENS.items()}
    process = ServerSettings(port=0, auth="required" if auth else "off", tokens=tokens if auth else {})
    async with AsyncExitStack() as stack:
        deps = Deps(
            stack=stack,
            telemetry=Telemetry.of(process),
            workspace=Workspace(state / "workspace", state),
            artifacts=ArtifactStore(FolderObjects(state / "artifacts")),
            state=state,
        )
        assembly = build(deps, settings=AppsSettings(**settings))
        board = HealthBoard(["apps"])
        server = Server(process, assembly.handlers, assembly.names, board, others=assembly.others)
        assert assembly.start is not None
        await assembly.start()
        await server.start()
        stack.push_async_callback(server.drain, assembly.drain)
        channel = grpc.aio.insecure_channel(str(server.address))
        stack.push_async_callback(channel.close)
        yield Served(channel, server)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that asks nobody who calls."""
    async with serving(tmp_path / "state") as found:
        yield found


@pytest.fixture
def serve_from() -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Serves from a folder, for an `async with` block."""
    return serving


@pytest.fixture
def config() -> str:
    """A config file of the application."""
    return CONFIG
