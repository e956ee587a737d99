"""A host for each test that wants one: a controller, its processes and its handles, on the test's own event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_tools import protoc

from swath import serve
from swath.serve.controller.calling import HostCaller
from swath.serve.controller.controller import Controller
from swath.serve.controller.specs import spec_of
from swath.serve.deployment import Application
from swath.serve.exchange import Exchange, Method, Outcome, RequestFacts
from swath.serve.handle import DeploymentHandle, Target, set_caller
from swath.serve.launch.local import LocalLauncher

STRING = "google.protobuf.StringValue"


class Runtime:
    """A controller, and what tests do with it."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    async def run(self, application: Application, name: str = "app") -> DeploymentHandle:
        """Deploy and wait."""
        spec = spec_of(application, name)
        await self.controller.begin(spec)
        return DeploymentHandle(Target(name, spec.deployments[-1].name))

    def handle(self, deployment: str, name: str = "app") -> DeploymentHandle:
        """A handle of a deployment."""
        return DeploymentHandle(Target(name, deployment))

    def overview(self, deployment: str, name: str = "app") -> Any:
        """What status says of a deployment."""
        return self.controller.status().applications[name].deployments[deployment]

    async def open(
        self, method: str, body: bytes | None = b"", *, streams: tuple[bool, bool] = (False, False), **facts: Any
    ) -> Exchange:
        """Start a client's call."""
        called = Method(method, f"/pkg.Service/{method}", *streams, STRING, STRING)
        application = facts.pop("application", "app")
        return await self.controller.open(
            application, called, RequestFacts(str(uuid.uuid4()), application, **facts), body
        )

    async def call(self, method: str, body: bytes | None = b"", **more: Any) -> tuple[list[bytes], Outcome]:
        """Make a client's call; return its answers and how it ended."""
        exchange = await self.open(method, body, **more)
        answers = [each async for each in exchange]
        return answers, exchange.outcome


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_runtime() -> AsyncIterator[Runtime]:
    """A host for all tests of a module, each with applications of its own. They run on the module's event loop."""
    controller = Controller(LocalLauncher())
    set_caller(HostCaller(controller))
    yield Runtime(controller)
    set_caller(None)
    await controller.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Waits until something is so."""

    async def wait(so: Callable[[], Any]) -> Any:
        async with asyncio.timeout(20):
            while not (found := so()):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        return found

    return wait


@pytest.fixture(scope="module")
def driver() -> Iterator[None]:
    """A driver's own host, which ends with the module."""
    yield
    serve.shutdown()


PROTOS = Path(__file__).parent / "protos"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
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
def ended() -> Callable[[Any], Awaitable[SimpleNamespace]]:
    """Awaits a call; says how it ended: code, details, trailers, and the messages before."""
    return _ended


async def _ended(call: Any) -> SimpleNamespace:
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
