"""The session service: sessions and the workspace. Imports no torch."""

from swath_session.collection import Collector, Collectors
from swath_session.holdings import Holdings, open_holdings
from swath_session.orphans import Orphans
from swath_session.service import SessionService
from swath_session.servicer import SessionServicer, WorkspaceServicer
from swath_session.settings import SessionSettings
from swath_session.store import SessionStore
from swath_session.workspace_service import WorkspaceService

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
