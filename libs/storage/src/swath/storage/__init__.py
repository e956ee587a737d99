"""Where Swath keeps things: rows in SQL, immutable bytes by digest, files in a workspace."""

from swath.storage.artifacts.folder import FolderObjects
from swath.storage.artifacts.store import ArtifactStore
from swath.storage.workspace.folder import Workspace
from swath.storage.workspace.paths import Base

__all__ = ["ArtifactStore", "Base", "FolderObjects", "Workspace"]
