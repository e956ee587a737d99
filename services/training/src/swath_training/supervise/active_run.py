"""A run that this replica drives, and the worker that it has at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from swath.errors import SwathError
from swath_training.runs.items import Ask, Command, Stop
from swath_training.runs.model import Run, RunCommand, RunState, StopCause
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Worker


class WorkerConnection(Protocol):
    """The service's end of the link of a worker that has connected."""

    def send(self, command: Command) -> None:
        """Send a command, in order, without waiting."""
        ...

    def close(self, error: SwathError | None) -> None:
        """End the link."""
        ...


@dataclass(eq=False)
class ActiveRun:
    """A run that is not over, and what is known of its worker in this process. Times are those of the event loop.

    Attributes:
        stop: Why it is to stop, if it is.
        stop_at: When it was asked to.
        drain_at: When it was asked to go on elsewhere, because this server goes away.
        worker: The worker of the present attempt.
        connection: That worker's link, while there is one.
        has_connected: Whether the worker has ever connected.
        takes_commands: Whether that worker knows what to do with commands.
        told: Number of the last command that it was told of.
        changed: Set when there is something to look at: a stop, the worker's end, or its link.
    """

    run_id: str
    session_id: str
    attempt: int
    state: RunState
    stop: StopCause | None
    stop_at: float = 0.0
    drain_at: float | None = None
    worker: Worker | None = None
    connection: WorkerConnection | None = None
    has_connected: bool = False
    takes_commands: bool = False
    told: int = 0
    last_heartbeat_at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def draining(self) -> bool:
        """Whether it is to go on elsewhere, because this server goes away."""
        return self.drain_at is not None

    def take_state(self, run: Run) -> None:
        """Take in what is on disk."""
        self.attempt, self.state, self.stop = run.attempt, run.state, self.stop or run.stop

    def ask_stop(self, cause: StopCause, at: float) -> None:
        """Have the worker stop with a checkpoint. The first cause counts."""
        if self.stop is not None:
            return
        self.stop, self.stop_at = cause, at
        if self.connection is not None:
            self.connection.send(Stop(cause))
        self.changed.set()

    def end_at_once(self) -> None:
        """Have the run end without a checkpoint: its session is closed."""
        self.stop = self.stop or StopCause.SESSION_CLOSED
        self.stop_at = float("-inf")  # no grace
        self.changed.set()

    def ask(self, commands: Iterable[RunCommand]) -> None:
        """Tell the worker of commands that it has not been told of; without a link, its next Welcome has them."""
        for command in commands:
            if self.connection is not None and self.takes_commands and command.number > self.told:
                self.told = command.number
                self.connection.send(Ask(command))

    def ask_drain(self, at: float) -> None:
        """Have the worker write a checkpoint and exit; the run stays queued."""
        self.drain_at = at
        if self.connection is not None:
            self.connection.send(Stop(StopCause.DRAIN))
        self.changed.set()

    def deadline(self, settings: TrainingSettings, since: float) -> float:
        """Return when the worker has to be killed if nothing changes until then.

        Args:
            settings: Times.
            since: When the worker was started, or taken over.
        """
        if self.connection is not None:
            limit = self.last_heartbeat_at + settings.worker_heartbeat_timeout_s
        elif self.has_connected:
            limit = (
                max(self.last_heartbeat_at, since)
                + settings.worker_disconnect_timeout_s
                + settings.heartbeat_interval_s
            )
        else:
            limit = since + settings.worker_start_timeout_s
        if self.stop is not None:
            limit = min(limit, self.stop_at + settings.stop_grace_s)
        if self.drain_at is not None:
            limit = min(limit, self.drain_at + settings.drain_s)
        return limit
