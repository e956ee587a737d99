"""Where Swath keeps things: rows in SQL, immutable bytes by digest, files in a workspace."""

from swath.storage.artifacts import ArtifactStore
from swath.storage.workspace import Base, Workspace

__all__ = ["ArtifactStore", "Base", "Workspace"]
