"""A run's commands, as the link brings them, for the engine; and checkpoints of the user's."""

from __future__ import annotations

from functools import partial

from swath.documents import CommandState
from swath.engine.training import Command, Journal
from swath.retry import retry_while_unavailable
from swath.storage import ArtifactStore
from swath_training.link.client import WorkerLink
from swath_training.runs.items import Checkpoint, Welcome
from swath_training.runs.model import CheckpointKind, RunCommand


class RunCommands(Journal):
    """The engine's `LiveControl`, on the link.

    What the log says has taken effect does so at the same place; what has not does so after what the log holds.

    Args:
        link: Brings commands.
        welcome: The service's Welcome, with the commands so far.
        checkpoints: Where checkpoints are kept.
    """

    def __init__(self, link: WorkerLink, welcome: Welcome, checkpoints: ArtifactStore) -> None:
        super().__init__(map(_command, welcome.commands), welcome.position)
        self._link = link
        self._live = welcome.live_control
        self._checkpoints = checkpoints
        link.asked = lambda command: self.add(_command(command))
        link.stopped = self.notify

    def keep(self, snapshot: bytes, events: int, *, epoch: int, step: int) -> str:
        """As in `LiveControl`."""
        digest = retry_while_unavailable(partial(self._checkpoints.put_sync, snapshot))
        if self._live:
            self._link.put(Checkpoint(digest, events, CheckpointKind.USER, step, epoch))
        return digest

    def load(self, digest: str) -> bytes:
        """As in `LiveControl`."""
        return retry_while_unavailable(partial(self._checkpoints.get_sync, digest))


def _command(command: RunCommand) -> Command:
    placed = command.state is not CommandState.ASKED
    return Command(
        command.number, command.kind, command.arguments, command.by, place=command.position if placed else None
    )
