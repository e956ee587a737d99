"""The session service put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import swath.api.descriptors  # noqa: F401 - reflection here describes the whole public API
from swath.api import CUVIS, PUBLIC, SESSION_AUTHORITY, WORKSPACE
from swath.rpc.server.methods import slice_handler
from swath.runtime.assembly import Assembly, Deps
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_session.artifact_gc.collector import Collectors, Referrer
from swath_session.servicer import SessionServicer, WorkspaceServicer
from swath_session.sessions.authority import SessionAuthority
from swath_session.sessions.authority_servicer import SessionAuthorityServicer
from swath_session.sessions.service import SessionService
from swath_session.sessions.store import SessionStore
from swath_session.settings import SessionSettings
from swath_session.tables import SCHEMA
from swath_session.workspace.service import WorkspaceService
from swath_session.workspace.usage import open_usage

if TYPE_CHECKING:
    from swath.rpc.server.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class SessionAssembly(Assembly):
    """The session service put together.

    Attributes:
        authority: All sessions, for services in the same process.
    """

    authority: SessionAuthority


def build(
    deps: Deps, *, settings: SessionSettings, runs: Referrer, models: Referrer, alone: bool = False
) -> SessionAssembly:
    """Put the service together.

    Args:
        deps: What the process gives.
        settings: Of this service.
        runs: Gives the digests of all artifacts that runs refer to. Asked once the process listens.
        models: Gives those that published models refer to, likewise.
        alone: Whether no other process has the database.
    """
    stack = deps.stack
    engine = open_engine(deps.database("session.db"), schema=SCHEMA.name)
    store = SessionStore(engine)
    authority = SessionAuthority(store, settings, alone=alone)
    stack.push_async_callback(authority.stop)
    files = WorkspaceService(deps.workspace, settings, open_usage(engine, settings))
    stack.push_async_callback(files.stop)
    collectors = Collectors(deps.artifacts, runs, store.digests, models, engine, settings)
    stack.push_async_callback(collectors.stop)
    notifications = Notifications(engine)
    stack.push_async_callback(notifications.close)

    async def start() -> None:
        await authority.start()
        await files.start()

    async def begin_collecting() -> None:
        # Not earlier: the services that are asked what runs and models refer to may be of this process.
        collectors.start()

    async def drain() -> None:
        # Before runs are closed, which a round that is under way asks for.
        await collectors.stop()
        # Who watches for closed sessions turns to another replica.
        await notifications.close()

    def register(metrics: Metrics) -> None:
        metrics.gauge("swath_sessions", "Open sessions of the suite, as of the last sweep.", lambda: authority.open)
        waits = authority.waits
        metrics.counter(
            "swath_session_lease_waits",
            "Writes of sessions that waited for other services' leases.",
            lambda: waits.waited,
        )
        metrics.counter(
            "swath_session_lease_wait_seconds", "Seconds that writes waited for leases.", lambda: waits.seconds
        )
        metrics.counter(
            "swath_artifact_rounds", "Looks for artifacts that nothing refers to.", lambda: collectors.rounds
        )
        metrics.counter("swath_artifacts_removed", "Artifacts that were removed.", lambda: collectors.removed)

    return SessionAssembly(
        service="session",
        handlers=(
            slice_handler(CUVIS, "session", SessionServicer(SessionService(authority, deps.workspace))),
            slice_handler(WORKSPACE, "session", WorkspaceServicer(files)),
        ),
        private=(slice_handler(SESSION_AUTHORITY, "session", SessionAuthorityServicer(authority, notifications)),),
        names=PUBLIC,
        start=start,
        warm_up=begin_collecting,
        drain=drain,
        metrics=register,
        authority=authority,
    )
