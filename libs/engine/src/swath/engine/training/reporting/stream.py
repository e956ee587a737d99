"""The event stream of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swath.engine.training.control import Control, StopRun
from swath.engine.training.distributed.group import ALONE, Group
from swath.engine.training.reporting.commands import CommandReport
from swath.engine.training.reporting.events import Event, Lifecycle, Position, Status
from swath.engine.training.reporting.messages import describe


class EventStream:
    """Numbers events, adds their messages and emits them.

    Args:
        emit: Takes each event, in order, on the thread of the run.
        control: Asked whether to stop.
        group: The processes of the run: all of them follow the control of process 0.

    Attributes:
        count: Number of events so far, which is also the number of the next one.
        settle: Lets commands take effect wherever a stop may; None where they do so elsewhere.
    """

    def __init__(self, emit: Callable[[Event], None], control: Control, group: Group = ALONE) -> None:
        self._emit = emit
        self._control = control
        self._group = group
        self.count = 0
        self.settle: Callable[[], None] | None = None

    def send(
        self,
        position: Position,
        event: Lifecycle | None = None,
        *,
        losses: Mapping[str, float] | None = None,
        metrics: Mapping[str, float] | None = None,
        message: str = "",
        status: Status = Status.RUNNING,
        command: CommandReport | None = None,
    ) -> None:
        """Emit an event; its message is that of `event`, or the given one if that has none."""
        text = message if event is None else describe(event, message)
        self._emit(Event(position, losses or {}, metrics or {}, status, text, event, self.count, command))
        self.count += 1

    def check_stop(self) -> None:
        """Raise `StopRun`, in all processes at the same point, if the run was asked to stop; then take commands."""
        if self.stop_requested():
            raise StopRun
        settle, self.settle = self.settle, None  # while it waits, it asks for stops itself
        if settle is not None:
            try:
                settle()
            finally:
                self.settle = settle

    def stop_requested(self) -> bool:
        """Whether the run was asked to stop."""
        return self._group.broadcast_flag(self._control.stop_requested())
