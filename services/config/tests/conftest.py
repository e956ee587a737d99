from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from swath.errors import SessionNotFound
from swath.sessions.model import Session
from swath.storage.workspace.folder import Workspace
from swath_config import ConfigService, ConfigSettings
from swath_config.composition.compose import resolve
from swath_config.request import Request

SHIPPED = Path(__file__).parents[3] / "configs"

Write = Callable[[str, str], Path]
Resolve = Callable[..., dict[str, Any]]


SESSION = Session(
    id="s",
    owner="",
    revision=0,
    search_paths=("mine",),
    pipeline_digest=None,
    weights_digest=None,
    run_config_digest=None,
    plugins=(),
)


class Sessions:
    """One open session."""

    async def get(self, session_id: str) -> Session:
        if session_id != SESSION.id:
            raise SessionNotFound(f"Session {session_id} not found")
        return SESSION


@pytest.fixture
def sessions() -> Any:
    """Where the service finds the session."""
    return Sessions()


@pytest.fixture
def shipped() -> Path:
    """The configs that ship with the server."""
    return SHIPPED


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace over the shipped configs."""
    return Workspace(tmp_path / "workspace", SHIPPED)


@pytest.fixture
def write(workspace: Workspace) -> Write:
    """Writes a file of the workspace."""

    def write_file(path: str, text: str) -> Path:
        file = workspace.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write_file


@pytest.fixture
def compose(workspace: Workspace) -> Resolve:
    """Resolves a configuration in this process: `compose(kind, path, *overrides, search_paths=())`."""

    def run(kind: str, path: str, *overrides: str, search_paths: tuple[str, ...] = ()) -> dict[str, Any]:
        return json.loads(resolve(Request(json.dumps(workspace.spec()), search_paths, kind, path, overrides)))

    return run


@pytest.fixture
async def service(workspace: Workspace, sessions: Any) -> AsyncIterator[ConfigService]:
    """The service with two processes."""
    service = ConfigService(sessions, workspace, ConfigSettings(workers=2, time_limit_s=60))
    yield service
    await service.close()
