"""Storage as settings or a spec describe it: shared by replicas, or in the state folder of one.

A spec is what `ArtifactStore.spec` and `Workspace.spec` return: JSON-able data by which another process, such as a
worker, opens the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.storage.artifacts.bucket import BucketObjects
from swath.storage.artifacts.folder import FolderObjects
from swath.storage.artifacts.store import ArtifactStore
from swath.storage.s3.location import S3Location
from swath.storage.settings import StorageSettings
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.folder import Workspace

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def open_database(settings: StorageSettings, file: Path, schema: str) -> AsyncEngine:
    """Open a service's database: its schema on the Postgres of the suite, or a SQLite file."""
    # Workers and processes that compose configurations have no database: SQLAlchemy costs them half a second.
    from swath.storage.sql.engine import open_engine

    return open_engine(settings.database_url or file, schema=schema)


def open_artifacts(settings: StorageSettings, state: Path) -> ArtifactStore:
    """Open the artifact store: on the object store of the suite, or a folder of the state folder."""
    if not settings.artifacts_url:
        return ArtifactStore(FolderObjects(state / "artifacts"))
    location = settings.location(settings.artifacts_url)
    return ArtifactStore(BucketObjects(location, settings.cache_folder(state), settings.cache_bytes))


def artifacts_from_spec(spec: Mapping[str, Any]) -> ArtifactStore:
    """Open the artifact store that `ArtifactStore.spec` described."""
    if "folder" in spec:
        return ArtifactStore(FolderObjects(Path(spec["folder"])))
    return ArtifactStore(BucketObjects(S3Location(**spec["bucket"]), Path(spec["cache"]), int(spec["cache_bytes"])))


def open_workspace(
    settings: StorageSettings, state: Path, configs: Path, allow_roots: Sequence[Path] = ()
) -> Workspace:
    """Open the workspace: on the object store of the suite, or a folder of the state folder."""
    if not settings.workspace_url:
        return Workspace(state / "workspace", configs, allow_roots)
    return BucketWorkspace(
        settings.location(settings.workspace_url),
        configs,
        allow_roots,
        public=settings.workspace_root,
        cache=settings.cache_folder(state),
        cache_bytes=settings.cache_bytes,
    )


def workspace_from_spec(spec: Mapping[str, Any]) -> Workspace:
    """Open the workspace that `Workspace.spec` or `Workspace.local_spec` described."""
    configs, allow_roots = Path(spec["configs"]), [Path(allowed) for allowed in spec["allow_roots"]]
    if "bucket" not in spec:
        return Workspace(Path(spec["root"]), configs, allow_roots, public=spec.get("public"))
    return BucketWorkspace(
        S3Location(**spec["bucket"]),
        configs,
        allow_roots,
        public=spec["public"],
        cache=Path(spec["cache"]),
        cache_bytes=spec["cache_bytes"],
    )
