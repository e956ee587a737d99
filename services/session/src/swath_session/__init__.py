"""The session service: sessions and the workspace. Imports no torch."""

from swath_session.artifact_gc.collector import Collector, Collectors
from swath_session.artifact_gc.unreferenced import Orphans
from swath_session.servicer import SessionServicer, WorkspaceServicer
from swath_session.sessions.service import SessionService
from swath_session.sessions.store import SessionStore
from swath_session.settings import SessionSettings
from swath_session.workspace.service import WorkspaceService
from swath_session.workspace.usage import Holdings, open_holdings

__all__ = [
    "Collector",
    "Collectors",
    "Holdings",
    "Orphans",
    "SessionService",
    "SessionServicer",
    "SessionSettings",
    "SessionStore",
    "WorkspaceService",
    "WorkspaceServicer",
    "open_holdings",
]
