"""One real server a test process, the real scene, and small data sets that the server can read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from swath.client import build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath_standalone.process import ServerProcess

SCENE = Path(__file__).resolve().parents[1] / "examples" / "data" / "san_diego.npz"


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that absolute paths in calls may lead to."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Iterator[ServerProcess]:
    """A server that lives as long as the test process. Tests that kill theirs use `own_server`."""
    with ServerProcess(tmp_path_factory.mktemp("state"), allow_root=[data_root]) as running:
        workspace_data = running.state / "workspace" / "data"
        workspace_data.mkdir(parents=True)
        shutil.copy(SCENE, workspace_data)
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server for one test, which may kill it and start it again."""
    running = ServerProcess(tmp_path / "state").start()
    workspace_data = running.state / "workspace" / "data"
    workspace_data.mkdir(parents=True)
    shutil.copy(SCENE, workspace_data)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def stub(server: ServerProcess) -> CuvisAIServiceStub:
    """The generated stub, as other people's clients use it."""
    return build_stub(server.target)


@pytest.fixture
def session(stub: CuvisAIServiceStub) -> Iterator[str]:
    """Id of a session that is closed after the test, if it is still there."""
    session_id = stub.CreateSession(pb.CreateSessionRequest()).session_id
    yield session_id
    try:
        stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def scene() -> dict[str, np.ndarray]:
    """The real San Diego scene: cube [100, 100, 189], mask [100, 100], wavelengths [189]."""
    with np.load(SCENE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture
def refused() -> Callable[..., tuple[grpc.StatusCode, str, str]]:
    """Makes a call that must fail; returns its code, its reason and its text."""

    def call(method: Callable, request: object) -> tuple[grpc.StatusCode, str, str]:
        with pytest.raises(grpc.RpcError) as caught:
            answer = method(request)
            list(answer)  # a stream fails when it is read
        error: grpc.Call = caught.value  # type: ignore[assignment]
        status = rpc_status.from_call(error)
        assert status is not None, f"no google.rpc details with {error.code()}: {error.details()}"
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return error.code(), info.reason, error.details()

    return call
