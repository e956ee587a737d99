"""The session service in a process of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from pydantic import Field

import swath.api.descriptors  # noqa: F401 - reflection here tells of the whole public API
from swath.api import CUVIS, PUBLIC, SESSIONS, WORKSPACE
from swath.rpc.channels import channel
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler, whole_handler
from swath.rpc.server.metrics import Metrics
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.health_watch import HealthWatch
from swath.runtime.process import Assembly
from swath.runtime.replica import ReplicaSettings, channel_to
from swath.storage.opening import open_artifacts, open_database, open_workspace
from swath.storage.sql.notifications import Notifications
from swath_session.adapters.training_references import TrainingReferences
from swath_session.artifact_gc.collector import Collectors
from swath_session.servicer import SessionServicer, WorkspaceServicer
from swath_session.sessions.authority_servicer import SessionAuthorityServicer
from swath_session.sessions.service import SessionService
from swath_session.sessions.store import SessionStore
from swath_session.settings import SessionSettings
from swath_session.tables import SCHEMA
from swath_session.workspace.service import WorkspaceService
from swath_session.workspace.usage import open_usage

OTHERS = ("config", "pipeline", "training", "inference")


class SessionReplicaSettings(ReplicaSettings):
    """Settings of a replica of the session service."""

    session: SessionSettings = Field(default_factory=SessionSettings)
    """How long sessions live, what uploads may be, and how much there may be of both."""


async def assemble(settings: SessionReplicaSettings, stack: AsyncExitStack) -> Assembly:
    """Put the service together; it also answers for the health of the whole suite."""
    engine = open_database(settings, settings.state / "session.db", SCHEMA.name)
    workspace = open_workspace(settings, settings.state, settings.configs)
    store = SessionStore(engine)
    sessions = SessionService(store, workspace, settings.session)
    await sessions.start()
    stack.push_async_callback(sessions.stop)
    files = WorkspaceService(workspace, settings.session, open_usage(engine, settings.session))
    await files.start()
    stack.push_async_callback(files.stop)
    runs = channel(settings.addresses("training"), "training", settings, interceptors=INTERCEPTORS)
    stack.push_async_callback(runs.close)
    artifacts = open_artifacts(settings, settings.state)
    collectors = Collectors(artifacts, TrainingReferences(runs).read, store.digests, engine, settings.session)
    collectors.start()
    stack.push_async_callback(collectors.stop)
    notifications = Notifications(engine)
    stack.push_async_callback(notifications.close)
    health = HealthBoard(("session",), OTHERS)
    watch = HealthWatch(health, {part: settings.addresses(part) for part in OTHERS}, partial(channel_to, settings))
    await watch.start()
    stack.push_async_callback(watch.stop)

    def tell(metrics: Metrics) -> None:
        metrics.gauge("swath_sessions", "Open sessions of the suite, as of the last sweep.", lambda: sessions.open)
        metrics.counter(
            "swath_artifact_rounds", "Looks for artifacts that nothing refers to.", lambda: collectors.rounds
        )
        metrics.counter("swath_artifacts_removed", "Artifacts that were removed.", lambda: collectors.removed)

    return Assembly(
        handlers=(
            slice_handler(CUVIS, "session", SessionServicer(sessions)),
            slice_handler(WORKSPACE, "session", WorkspaceServicer(files)),
            whole_handler(SESSIONS, SessionAuthorityServicer(sessions, notifications)),
        ),
        names=PUBLIC,
        health=health,
        # Whoever watches for sessions that go turns to another replica.
        send_away=notifications.close,
        metrics=tell,
    )
