"""What a service is built from, and what comes of it: the same in a process of its own and among all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from swath.rpc.addresses import Address
from swath.rpc.server.health import Board
from swath.rpc.server.methods import Methods
from swath.runtime.logs import Telemetry
from swath.storage import ArtifactStore, Workspace

if TYPE_CHECKING:  # a process without a port for them needs no Prometheus
    from swath.rpc.server.metrics import Metrics

SetModels = Callable[[Mapping[str, bool]], Awaitable[None]]
"""Replaces the names that health has of a service's models, and whether it can compute each."""


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What a process gives to each service in it.

    Each service has one `build(deps, ...) -> Assembly`. What it needs beside these are keyword arguments of that: its
    own settings, sessions as callers see them, and small ports for what another service answers, which is a function
    where that is in the same process and a gRPC client where it is not.

    Attributes:
        stack: Closes what the service opens: last opened, first closed.
        telemetry: What the service hands to the processes that it starts.
        workspace: What paths mean.
        artifacts: Documents and weights by digest.
        state: Folder for the service's own files.
        database_url: Postgres database that replicas share; empty: SQLite files in `state`.
        replica: Name of this process among those of its service, the same after a restart where it can be.
    """

    stack: AsyncExitStack
    telemetry: Telemetry
    workspace: Workspace
    artifacts: ArtifactStore
    state: Path
    database_url: str = ""
    replica: str = "alone"

    def database(self, file: str) -> str | Path:
        """Return where a service's database is, as `open_engine` takes it.

        Args:
            file: The SQLite file, relative to `state`.
        """
        return self.database_url or self.state / file


class OtherServices(Protocol):
    """gRPC services that come and go, and that no registry knows."""

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        """Answers their methods; see `Calls`, which asks it `later`."""
        ...

    @property
    def open(self) -> Sequence[Methods]:
        """What anybody may call without saying who calls."""
        ...

    @property
    def health(self) -> Board:
        """Answers for their names."""
        ...

    def names(self) -> Sequence[str]:
        """Return the full names that reflection lists."""
        ...

    def pools(self) -> Iterable[Any]:
        """Return the descriptor pools that hold them."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Have a function called when health may have changed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A service put together, for a process to start, serve, drain and close.

    Whatever it has opened the process's stack closes, started or not.

    Attributes:
        service: Its name, such as "session".
        handlers: Its slices of the public gRPC services.
        private: What the other services ask of it, served where those are in other processes.
        names: Full names of the gRPC services that reflection lists.
        start: Opens its tables and begins its work; called before the process listens.
        warm_up: Makes it ready, after which its health is SERVING. Called when every service of the process has started
            and the process listens.
        listening: Told where the process listens, once it does.
        drain: Ends what would outlast a drain, such as streams; called when health has long been NOT_SERVING.
        metrics: Registers its metrics.
        health: Is given what publishes health of its models; called before `start`.
        others: Services that it answers and that the registry does not know: those that users define.
    """

    service: str
    handlers: Sequence[Methods]
    private: Sequence[Methods] = ()
    names: Sequence[str]
    start: Callable[[], Awaitable[None]] | None = None
    warm_up: Callable[[], Awaitable[None]] | None = None
    listening: Callable[[Address], None] | None = None
    drain: Callable[[], Awaitable[None]] | None = None
    metrics: Callable[[Metrics], None] | None = None
    health: Callable[[SetModels], None] | None = None
    others: OtherServices | None = None
