"""All services in one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from swath.errors import Unavailable
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.logs import Telemetry
from swath.sessions.ownership import OwnedSessions
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath_apps import build as build_apps
from swath_config import build as build_config
from swath_inference import Identities, NoReplicas
from swath_inference import build as build_inference
from swath_pipeline import build as build_pipeline
from swath_session import build as build_session
from swath_standalone.settings import StandaloneSettings
from swath_training import Launcher
from swath_training import build as build_training


def compose(settings: StandaloneSettings, launcher: Launcher, stack: AsyncExitStack) -> tuple[Assembly, ...]:
    """Put all services together: each by the `build` that its own process calls, over the state folder.

    What differs from a suite: services ask one another by calls in this process, and private gRPC services are not
    served. Rows, artifacts and files are in the state folder, whatever the settings of shared storage say; this process
    has that folder for itself, so it is the one replica of each service, by the same name after each start. Clients
    may be on this machine, so they may use its folders (`allow_root`) and its shared memory.

    Args:
        settings: Where to keep things, and the settings of each service.
        launcher: Starts training workers; made before any gRPC object.
        stack: Closes what is opened.

    Returns:
        The services in the order in which they start and become ready; they close in the reverse one.
    """
    deps = Deps(
        stack=stack,
        telemetry=Telemetry.of(settings),
        workspace=Workspace(settings.state / "workspace", settings.configs, settings.allow_root),
        artifacts=ArtifactStore(FolderObjects(settings.state / "artifacts")),
        state=settings.state,
    )
    session = build_session(
        deps,
        settings=settings.session,
        runs=lambda: training.references(),
        models=lambda: pipeline.catalogue.references(),
        alone=True,
    )
    sessions = OwnedSessions(session.authority)
    config = build_config(deps, settings=settings.config, sessions=sessions)
    pipeline = build_pipeline(deps, settings=settings.pipeline, sessions=sessions)
    # Before training, so that it is the first to be notified of a session that closes: a run takes a while to stop, and
    # the memory of a model is to be free at once.
    inference = build_inference(
        deps,
        settings=settings.inference,
        sessions=sessions,
        shared_memory=True,
        # Where nobody is asked who calls, clients may be those of the reference, which name their segments freely.
        any_segment=settings.address.loopback and not settings.auth_required,
        replicas=NoReplicas(),
        catalogue=pipeline.catalogue,
        identities=Identities.of(settings, behind_gateway=False, own_keys=settings.state / "signing_keys.json"),
    )
    training = build_training(
        deps,
        settings=settings.training,
        sessions=sessions,
        launcher=launcher,
        max_message_bytes=settings.max_message_bytes,
    )
    apps = build_apps(deps, settings=settings.apps, here=settings.tls_cert is None)
    return session, config, pipeline, inference, training, apps


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold a state folder for this process alone; the lock goes with the process, however it ends.

    Raises:
        Unavailable: Another server holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another server uses the state folder {state}: stop it, or choose another --state"
            ) from error
        yield
    finally:
        os.close(handle)
