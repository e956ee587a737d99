"""Takes a run's commands, and reports what becomes of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from swath.documents import CommandKind, CommandState
from swath.engine.training.distributed.group import Group
from swath.engine.training.live.commands import LiveControl
from swath.engine.training.reporting.commands import Command, CommandReport
from swath.engine.training.reporting.events import Position
from swath.engine.training.reporting.stream import EventStream
from swath.errors import InvalidInput, SwathError

Handler = Callable[[Command, Position], CommandReport]
"""Lets a command take effect and returns what is reported of it; raises SwathError to refuse it."""

_PAST = {
    CommandKind.PAUSE: "Paused",
    CommandKind.RESUME: "Resumed",
    CommandKind.CHANGE: "Hyper-parameters changed",
    CommandKind.EVALUATE: "Evaluation",
    CommandKind.CANCEL_EVALUATION: "Evaluation cancelled",
    CommandKind.SAVE_CHECKPOINT: "Checkpoint saved",
    CommandKind.RESTORE: "Checkpoint restored",
    CommandKind.SET_SAMPLES: "Samples of the train split changed",
}


class Desk:
    """Takes commands where a run may change, and has the run wait while it is paused.

    Args:
        control: Gives them; None for a run without any.
        stream: Takes the reports.
        group: The processes of the run: all take what process 0 takes, at the same point.

    Attributes:
        control: As given.
        paused: Whether the run waits.
        pause_at: Optimizer steps at which the run pauses by itself; 0 for none.
    """

    def __init__(self, control: LiveControl | None, stream: EventStream, group: Group) -> None:
        self.control = control
        self._stream = stream
        self._group = group
        self._active = group.broadcast_flag(control is not None)
        self.paused = False
        self.pause_at = 0
        self._resumed_by = ""

    def skip(self) -> None:
        """Pass over what had taken effect before the snapshot that the run goes on from."""
        if self.control is None:
            return
        for command in self.control.applied(self._stream.count):
            if command.kind in (CommandKind.PAUSE, CommandKind.RESUME):
                self.paused = command.kind is CommandKind.PAUSE

    def settle(self, at: Position, handlers: Mapping[CommandKind, Handler], on_pause: Callable[[], None]) -> None:
        """Let all commands that wait take effect, and wait while the run is paused.

        Args:
            at: Where the run is.
            handlers: What it does at a command; others than pause and resume that have none here are refused.
            on_pause: Called when the run has paused.

        Raises:
            StopRun: The run was asked to stop.
        """
        if not self._active:
            return
        if self.pause_at and at.global_step >= self.pause_at:
            self.pause_at, self.paused = 0, True
            self.report(at, CommandReport(Command(0, CommandKind.PAUSE, by=self._resumed_by), CommandState.DONE))
            on_pause()
        while True:
            command = self._next()
            if command is not None:
                self._handle(command, at, handlers)
                if command.kind is CommandKind.PAUSE:
                    on_pause()
            elif self.paused:
                self._stream.check_stop()
                if self._group.is_leader and self.control is not None:
                    self.control.wait()
            else:
                return

    def cancelled(self) -> Command | None:
        """Return the command that gives up the evaluation under way, if there is one; only in process 0."""
        return self.control.take(self._stream.count, CommandKind.CANCEL_EVALUATION) if self.control else None

    def report(self, at: Position, report: CommandReport, message: str = "") -> None:
        """Emit what has become of a command."""
        self._stream.send(at, message=message or _told(report, at), command=report)

    def _handle(self, command: Command, at: Position, handlers: Mapping[CommandKind, Handler]) -> None:
        try:
            report = self._own(command, at) or self._report_of(command, at, handlers)
        except SwathError as error:
            self.report(at, CommandReport(command, CommandState.REFUSED), error.message)
        else:
            self.report(at, report)

    def _own(self, command: Command, at: Position) -> CommandReport | None:
        match command.kind:
            case CommandKind.PAUSE:
                self.paused, self.pause_at = True, 0
            case CommandKind.RESUME:
                steps = int(command.arguments.get("steps", 0))
                self.paused = False
                self.pause_at = at.global_step + steps if steps else 0
                self._resumed_by = command.by
            case CommandKind.CANCEL_EVALUATION:
                raise InvalidInput("no evaluation is under way")
            case _:
                return None
        return CommandReport(command, CommandState.DONE)

    def _report_of(self, command: Command, at: Position, handlers: Mapping[CommandKind, Handler]) -> CommandReport:
        if command.kind is CommandKind.SET_SAMPLES and command.kind not in handlers:
            raise InvalidInput("samples cannot be left out of this run: its data module gives them no ids")
        if command.kind not in handlers:
            raise InvalidInput(f"this part of the run knows no command '{command.kind}'")
        return handlers[command.kind](command, at)

    def _next(self) -> Command | None:
        command = None
        if self._group.is_leader and self.control is not None:
            command = self.control.take(self._stream.count)
        if self._group.size == 1:
            return command
        if not self._group.broadcast_flag(command is not None):
            return None
        data = json.dumps(asdict(command)).encode() if command is not None else b""
        members: dict[str, Any] = json.loads(self._group.broadcast(data))
        return Command(**{**members, "kind": CommandKind(members["kind"])})


def _told(report: CommandReport, at: Position) -> str:
    what = _PAST[report.command.kind]
    if report.command.kind is CommandKind.EVALUATE:
        split = report.command.arguments.get("split", "")
        what = f"Evaluating {split} ({report.done}/{report.total})"
        if report.state is CommandState.DONE:
            values = ", ".join(f"{key} {value:.4g}" for key, value in sorted(report.metrics.items()))
            what = f"Evaluation of {split} cancelled" if report.cancelled else f"Evaluated {split}: {values}"
    by = f" by {report.command.by}" if report.command.by else ""
    return f"{what}{by} at step {at.global_step}"
