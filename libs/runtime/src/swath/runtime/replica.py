"""What every service of a split suite is made with."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from swath.rpc.addresses import Address
from swath.rpc.channels import channel
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.assembly import Deps
from swath.runtime.logs import Telemetry
from swath.runtime.peers import PeerSettings
from swath.runtime.settings import ServerSettings
from swath.sessions.client import RemoteSessions
from swath.sessions.ownership import OwnedSessions
from swath.storage.opening import open_artifacts, open_workspace
from swath.storage.settings import StorageSettings


class StoreSettings(StorageSettings):
    """Where a service keeps things: all that its migrations have to know."""

    state: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()) / f"swath-{os.getuid()}")
    """Folder of this replica alone: logs of workers, local copies, and what settings give no other place. By default
    `swath-` and the user's id in the folder for temporary files."""


class ReplicaSettings(ServerSettings, StoreSettings, PeerSettings):
    """Settings of one replica of a service. Each field is also an environment variable `SWATH_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="SWATH_", frozen=True, extra="ignore", use_attribute_docstrings=True)

    replica: str = Field(default_factory=lambda: os.uname().nodename)
    """Name of this replica among those of its service, the same after a restart where it can be. By default the name of
    the machine."""
    configs: Path = Path("/opt/swath/configs")
    """Folder of the shipped Hydra configs, the same in every service."""

    def _is_reachable(self) -> bool:
        # Clients come by the gateway, and where that listens its services do not know.
        return True

    def _where(self) -> str:
        return "behind a gateway"


def open_deps(settings: ReplicaSettings, stack: AsyncExitStack) -> Deps:
    """Return what a replica gives to its service: the storage that the suite shares.

    Args:
        settings: Where it is.
        stack: Closes what the service opens.
    """
    return Deps(
        stack=stack,
        telemetry=Telemetry.of(settings),
        # No folders of this machine: the services of a suite share no disk with one another.
        workspace=open_workspace(settings, settings.state, settings.configs),
        artifacts=open_artifacts(settings, settings.state),
        state=settings.state,
        database_url=settings.database_url,
        replica=settings.replica,
    )


def remote_sessions(settings: ReplicaSettings, stack: AsyncExitStack) -> OwnedSessions:
    """Return the sessions of the suite, as the callers of this service see them.

    Args:
        settings: Where the session service is.
        stack: Closes what is opened.
    """
    link = channel(settings.addresses("session"), "session", settings, interceptors=INTERCEPTORS)
    stack.push_async_callback(link.close)
    sessions = RemoteSessions(link)
    stack.push_async_callback(sessions.stop)
    return OwnedSessions(sessions)


def channel_to(settings: ServerSettings, part: str, address: Address) -> grpc.aio.Channel:
    """Return a channel to one replica of a service, ready or not."""
    return channel([address], part, settings, check_health=False)
