"""A run in charge, and the worker that it has at the moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from swath.errors import SwathError
from swath_training.launch.fork import Worker
from swath_training.runs.items import Command
from swath_training.runs.model import RunState, StopCause
from swath_training.settings import TrainingSettings


class WorkerConnection(Protocol):
    """The way down to a worker that has dialled."""

    def send(self, command: Command) -> None:
        """Send a command, in order, without waiting."""
        ...

    def close(self, error: SwathError | None) -> None:
        """End the link."""
        ...


@dataclass(eq=False)
class ActiveRun:
    """A run that is not over, and what is known of its worker in this process."""

    run_id: str
    session_id: str
    attempt: int
    state: RunState
    stop: StopCause | None
    stop_at: float = 0.0
    worker: Worker | None = None
    connection: WorkerConnection | None = None
    dialled: bool = False
    last_heartbeat_at: float = 0.0
    # Set when there is something to look at: a stop, the worker's end, or the worker's line.
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    # What those who follow the run were told last of a worker that does not begin.
    last_notice: str = ""

    def deadline(self, settings: TrainingSettings, since: float) -> float:
        """Return when the worker has to be killed if nothing changes until then, by the loop's clock.

        Args:
            settings: Times.
            since: When the worker was started, or taken over.
        """
        if self.connection is not None:
            limit = self.last_heartbeat_at + settings.worker_silent_s
        elif self.dialled:
            limit = max(self.last_heartbeat_at, since) + settings.worker_lost_s + settings.heartbeat_s
        else:
            limit = since + settings.worker_start_s
        return limit if self.stop is None else min(limit, self.stop_at + settings.stop_grace_s)
