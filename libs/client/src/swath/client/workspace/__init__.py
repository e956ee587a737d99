"""The server's files: uploads, downloads, listings."""

from swath.client.workspace.files import AsyncWorkspace, Workspace
from swath.client.workspace.transfer import Entry, Progress, files_below

__all__ = ["AsyncWorkspace", "Entry", "Progress", "Workspace", "files_below"]
