"""The session service: sessions and the workspace. Imports no torch."""

from swath_session.artifact_gc.collector import Collector, Collectors
from swath_session.artifact_gc.unreferenced import UnreferencedArtifacts
from swath_session.assembly import SessionAssembly, build
from swath_session.servicer import SessionServicer, WorkspaceServicer
from swath_session.sessions.authority import SessionAuthority
from swath_session.sessions.service import SessionService
from swath_session.sessions.store import SessionStore
from swath_session.settings import SessionSettings
from swath_session.workspace.service import WorkspaceService
from swath_session.workspace.usage import Usage, open_usage

__all__ = [
    "Collector",
    "Collectors",
    "SessionAssembly",
    "SessionAuthority",
    "SessionService",
    "SessionServicer",
    "SessionSettings",
    "SessionStore",
    "UnreferencedArtifacts",
    "Usage",
    "WorkspaceService",
    "WorkspaceServicer",
    "build",
    "open_usage",
]
