"""The session service as its clients meet it: over gRPC."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from swath.api import CUVIS, WORKSPACE
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.storage.workspace.folder import Workspace
from swath.workspace.v1 import workspace_pb2 as ws
from swath.workspace.v1 import workspace_pb2_grpc
from swath_session import SessionAuthority, SessionService, SessionServicer, WorkspaceService, WorkspaceServicer

DATA = os.urandom(2_500_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def api(
    sessions: SessionAuthority, files: WorkspaceService, workspace: Workspace
) -> AsyncIterator[SimpleNamespace]:
    """Stubs to a server: `cuvis` and `files`."""
    handlers = (
        slice_handler(CUVIS, "session", SessionServicer(SessionService(sessions, workspace))),
        slice_handler(WORKSPACE, "session", WorkspaceServicer(files)),
    )
    server = Server(ServerSettings(port=0), handlers, (CUVIS, WORKSPACE), HealthBoard(["session"]))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield SimpleNamespace(
            cuvis=cuvis_ai_pb2_grpc.CuvisAIServiceStub(channel),
            files=workspace_pb2_grpc.WorkspaceServiceStub(channel),
        )
    await server.drain()


async def refusal(call: Awaitable[object]) -> tuple[str, error_details_pb2.ErrorInfo]:
    """Return the code and the ErrorInfo of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(raised.value)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return raised.value.code().name, info


def put(data: bytes = DATA, **said: Any) -> Iterator[ws.PutRequest]:
    """The messages of an upload whose header says this; `size` is that of the data unless it is said."""
    yield ws.PutRequest(header=ws.PutHeader(**{"path": "data/cube", "size": len(data), **said}))
    for position in range(0, len(data), 1 << 20):
        yield ws.PutRequest(chunk=data[position : position + (1 << 20)])


async def code(call: Awaitable[object]) -> str:
    """Return how a call ends."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def arrived(api: SimpleNamespace, where: ws.ResumePutRequest) -> int:
    """Return how many bytes of an upload have arrived."""
    return (await api.files.ResumePut(where)).offset


async def listed(folder: Path) -> int:
    """Return how many files a folder holds."""
    return await asyncio.to_thread(lambda: len(list(folder.glob("*"))))


def is_open(file: Path) -> bool:
    """Whether this process has a file open."""
    links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return any(os.path.realpath(link) == str(file) for link in links)


async def eventually(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Wait until a look shows what is expected."""
    for _ in range(1000):
        if await look() == expected:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"still not {expected!r}")


async def test_a_session_from_first_to_last(api: SimpleNamespace, workspace: Workspace) -> None:
    (workspace.root / "study").mkdir()
    session_id = (await api.cuvis.CreateSession(pb.CreateSessionRequest())).session_id
    request = pb.SetSessionSearchPathsRequest(session_id=session_id, search_paths=["study", "/etc"])
    answer = await api.cuvis.SetSessionSearchPaths(request)
    assert answer.success
    assert list(answer.current_paths) == [str(workspace.configs), str(workspace.root / "study")]
    assert list(answer.rejected_paths) == ["/etc"]
    request = pb.SetSessionSearchPathsRequest(session_id=session_id, search_paths=["study"], append=False)
    assert list((await api.cuvis.SetSessionSearchPaths(request)).current_paths) == [str(workspace.root / "study")]
    assert (await api.cuvis.CloseSession(pb.CloseSessionRequest(session_id=session_id))).success
    code, info = await refusal(api.cuvis.CloseSession(pb.CloseSessionRequest(session_id=session_id)))
    assert (code, info.reason) == ("NOT_FOUND", "SESSION_NOT_FOUND")


async def test_a_file_there_and_back(api: SimpleNamespace) -> None:
    entry = (await api.files.Put(put(sha256=SHA256))).entry
    assert (entry.path, entry.kind, entry.size, entry.sha256) == ("data/cube", ws.KIND_FILE, len(DATA), SHA256)
    first, *rest = [part async for part in api.files.Get(ws.GetRequest(path="data/cube", offset=1000))]
    assert (first.header.entry, first.header.offset) == (entry, 1000)
    assert b"".join(part.chunk for part in rest) == DATA[1000:]


async def test_a_cut_upload_is_resumed(api: SimpleNamespace) -> None:
    call = api.files.Put(timeout=30)
    for request in put(DATA[: 1 << 20], size=len(DATA), sha256=SHA256):
        await call.write(request)
    where = ws.ResumePutRequest(path="data/cube", sha256=SHA256)
    await eventually(lambda: arrived(api, where), 1 << 20)
    call.cancel()
    rest = list(put(DATA[1 << 20 :], size=len(DATA), sha256=SHA256, offset=1 << 20))
    # The server lets go of a cancelled upload in its own time; until then the answer is ABORTED.
    await eventually(lambda: code(api.files.Put(iter(rest))), "OK")
    assert (await api.files.ResumePut(where)).complete


async def test_a_cut_upload_is_never_taken_for_a_whole_one(api: SimpleNamespace, workspace: Workspace) -> None:
    call = api.files.Put()
    await call.write(ws.PutRequest(header=ws.PutHeader(path="data/cube")))
    await call.write(ws.PutRequest(chunk=DATA))
    await eventually(lambda: listed(workspace.root / ".swath-uploads"), 1)
    call.cancel()
    await eventually(lambda: listed(workspace.root / ".swath-uploads"), 0)
    assert not (workspace.root / "data").exists()


async def test_a_file_of_unknown_size_ends_with_an_end(api: SimpleNamespace) -> None:
    header = ws.PutRequest(header=ws.PutHeader(path="data/cube"))
    chunks = [ws.PutRequest(chunk=b"one"), ws.PutRequest(chunk=b"two")]
    assert (await refusal(api.files.Put(iter([header, *chunks]))))[0] == "INVALID_ARGUMENT"
    entry = (await api.files.Put(iter([header, *chunks, ws.PutRequest(end=True)]))).entry
    assert entry.size == 6


async def test_stat_list_and_delete(api: SimpleNamespace) -> None:
    await api.files.Put(put(b"data"))
    assert (await api.files.Stat(ws.StatRequest(path="data"))).entry.kind == ws.KIND_FOLDER
    page = await api.files.List(ws.ListRequest(recursive=True, page_size=2))
    assert [entry.path for entry in page.entries] == ["configs", "configs/pipeline"]
    page = await api.files.List(ws.ListRequest(recursive=True, page_token=page.next_page_token))
    assert [entry.path for entry in page.entries] == ["configs/pipeline/rx.yaml", "data", "data/cube"]
    assert [entry.shipped for entry in page.entries] == [True, False, False]
    assert not page.next_page_token
    assert (await api.files.Delete(ws.DeleteRequest(path="data", recursive=True))).removed == 2


@pytest.mark.parametrize(
    ("requests", "code", "reason"),
    [
        ([], "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ([ws.PutRequest(chunk=b"data")], "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ([*put(b""), *put(b"")], "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (list(put(b"data", size=3)), "INVALID_ARGUMENT", "CONTENT_MISMATCH"),
        (list(put(b"data", sha256=SHA256)), "INVALID_ARGUMENT", "CONTENT_MISMATCH"),
        (list(put(b"data", size=20, sha256=SHA256, offset=7)), "FAILED_PRECONDITION", "OFFSET_MISMATCH"),
        (list(put(b"data", size=2**40)), "RESOURCE_EXHAUSTED", "TOO_LARGE"),
        (list(put(b"data", path="../x")), "PERMISSION_DENIED", "PATH_DENIED"),
        (list(put(b"data", path="")), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
)
async def test_uploads_that_are_refused(
    api: SimpleNamespace, workspace: Workspace, requests: list[ws.PutRequest], code: str, reason: str
) -> None:
    refused, info = await refusal(api.files.Put(iter(requests)))
    assert (refused, info.reason) == (code, reason)
    assert [path for path in workspace.root.rglob("*") if path.is_file()] == []


async def test_missing_files_are_not_found(api: SimpleNamespace) -> None:
    async def get() -> None:
        async for _ in api.files.Get(ws.GetRequest(path="missing")):
            pass

    for call in (
        get(),
        api.files.Stat(ws.StatRequest(path="missing")),
        api.files.List(ws.ListRequest(path="missing")),
        api.files.Delete(ws.DeleteRequest(path="missing")),
    ):
        assert (await refusal(call))[1].reason == "FILE_NOT_FOUND"


async def test_a_download_that_nobody_reads_on_lets_go_of_its_file(api: SimpleNamespace, workspace: Workspace) -> None:
    await api.files.Put(put(DATA * 4))
    call = api.files.Get(ws.GetRequest(path="data/cube"))
    await call.read()
    call.cancel()

    await eventually(lambda: asyncio.to_thread(is_open, workspace.root / "data/cube"), False)
