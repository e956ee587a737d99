from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from sqlalchemy import Float, bindparam
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.api import SESSION_AUTHORITY
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import whole_handler
from swath.sessions.client import RemoteSessions
from swath.storage.s3.location import S3Location
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.folder import Workspace
from swath_session import SessionAuthority, SessionSettings, SessionStore, WorkspaceService
from swath_session.sessions.authority_servicer import SessionAuthorityServicer
from swath_session.tables import SCHEMA


@pytest.fixture
def clock() -> SimpleNamespace:
    """The present, as the test has it: `now`, Unix time in seconds."""
    return SimpleNamespace(now=1_000_000.0)


@pytest.fixture
def in_folder(tmp_path: Path) -> Workspace:
    """An empty workspace in a folder, over shipped configs with one pipeline."""
    (tmp_path / "shipped" / "pipeline").mkdir(parents=True)
    (tmp_path / "shipped" / "pipeline" / "rx.yaml").write_text("shipped")
    (tmp_path / "allowed").mkdir()
    return Workspace(tmp_path / "root", tmp_path / "shipped", [tmp_path / "allowed"])


@pytest.fixture
def in_bucket(tmp_path: Path, in_folder: Workspace, s3_location: S3Location) -> Iterator[Workspace]:
    """The same in a bucket."""
    cache = tmp_path / "cache"
    workspace = BucketWorkspace(
        s3_location, in_folder.configs, in_folder.allow_roots, public="/workspace", cache=cache, cache_bytes=2**30
    )
    yield workspace
    workspace.close()


@pytest.fixture
def workspace(in_folder: Workspace) -> Workspace:
    """The workspace of tests that do not care where it is; others choose."""
    return in_folder


class Side:
    """Looks at a workspace, and puts files there, past the server: as a person or another tool would."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._bucket = workspace.bucket if isinstance(workspace, BucketWorkspace) else None

    def put(self, name: str, data: bytes) -> None:
        if self._bucket is not None:
            self._bucket.put(name, data)
            return
        file = self._workspace.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def get(self, name: str) -> bytes:
        return self._bucket.get(name) if self._bucket is not None else (self._workspace.root / name).read_bytes()

    def names(self) -> list[str]:
        """Return the paths of all files, the server's own among them."""
        if self._bucket is not None:
            return [each.key for each in self._bucket.list()]
        root = self._workspace.root
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def side(workspace: Workspace) -> Side:
    return Side(workspace)


@pytest.fixture
async def engine(database: Path | str) -> AsyncEngine:
    """The session service's database, of each kind."""
    engine = open_engine(database, schema="session")
    await SCHEMA.migrate(engine)
    return engine


@pytest.fixture
async def sessions(engine: AsyncEngine, clock: SimpleNamespace) -> AsyncIterator[SessionAuthority]:
    """Sessions that live for an hour by the test's clock."""
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    service = SessionAuthority(SessionStore(engine, clock=at), SessionSettings())
    await service.start()
    yield service
    await service.stop()


class Authority:
    """The session service as the others reach it; it can be away for a while."""

    def __init__(self, sessions: SessionAuthority, engine: AsyncEngine) -> None:
        self._sessions = sessions
        self._engine = engine
        self.port = 0

    async def start(self) -> None:
        self._notifications = Notifications(self._engine)
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        servicer = SessionAuthorityServicer(self._sessions, self._notifications)
        self._server.add_generic_rpc_handlers((Calls((whole_handler(SESSION_AUTHORITY, servicer),)),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        await self._notifications.close()
        await self._server.stop(0)


@pytest.fixture
async def authority(sessions: SessionAuthority, engine: AsyncEngine) -> AsyncIterator[Authority]:
    authority = Authority(sessions, engine)
    await authority.start()
    yield authority
    await authority.stop()


@pytest.fixture
async def remote(authority: Authority) -> AsyncIterator[RemoteSessions]:
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{authority.port}", options) as channel:
        remote = RemoteSessions(channel)
        yield remote
        await remote.stop()


@pytest.fixture
async def files(workspace: Workspace) -> AsyncIterator[WorkspaceService]:
    service = WorkspaceService(workspace, SessionSettings(upload_max_bytes=2**30))
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def little_room() -> Iterator[int]:
    """Files cannot grow beyond this many bytes while the test runs, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield 1 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
