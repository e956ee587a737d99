"""Storage as settings say: shared by replicas, or in the state folder of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from swath.storage.artifacts.store import ArtifactStore
from swath.storage.settings import StorageSettings
from swath.storage.sql.engine import open_engine
from swath.storage.workspace.folder import Workspace


def open_database(settings: StorageSettings, file: Path, schema: str) -> AsyncEngine:
    """Open a service's database: its schema on the Postgres of the suite, or a SQLite file."""
    return open_engine(settings.database_url or file, schema=schema)


def open_artifacts(settings: StorageSettings, state: Path) -> ArtifactStore:
    """Open the artifact store: on the object store of the suite, or a folder of the state folder."""
    if not settings.artifacts_url:
        return ArtifactStore.folder(state / "artifacts")
    place, cache = settings.place(settings.artifacts_url), settings.cache_folder(state)
    return ArtifactStore.from_spec({"bucket": place.spec(), "cache": str(cache), "cache_bytes": settings.cache_bytes})


def open_workspace(
    settings: StorageSettings, state: Path, configs: Path, allow_roots: Sequence[Path] = ()
) -> Workspace:
    """Open the workspace: on the object store of the suite, or a folder of the state folder."""
    if not settings.workspace_url:
        return Workspace(state / "workspace", configs, allow_roots)
    from swath.storage.workspace.bucket import BucketWorkspace  # not needed on one machine

    return BucketWorkspace(
        settings.place(settings.workspace_url),
        configs,
        allow_roots,
        public=settings.workspace_root,
        cache=settings.cache_folder(state),
        cache_bytes=settings.cache_bytes,
    )
