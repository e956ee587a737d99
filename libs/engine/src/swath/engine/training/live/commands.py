"""Commands to a run that is under way: what is asked, and where each takes effect.

A command takes effect between two optimizer steps, at a *place*: the number of events that the run had emitted before.
Each emits an event, so no two have the same place, and a run that is resumed, or repeated from its log, lets each take
effect at its place again. On a CPU its weights are then bit-equal.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from swath.documents import CommandKind
from swath.engine.training.reporting.commands import Command


class LiveControl(Protocol):
    """Gives a run its commands, on the thread of the run."""

    def take(self, events: int, kind: CommandKind | None = None) -> Command | None:
        """Return the next command that takes effect where the run has emitted so many events, None for none.

        Args:
            events: Events that the run has emitted.
            kind: Only a command of this kind, before any others that wait.
        """
        ...

    def applied(self, events: int) -> list[Command]:
        """Return the commands that had taken effect before so many events, and give none of them out again."""
        ...

    def wait(self) -> None:
        """Wait until there may be a command or a stop, a second at most."""
        ...

    def keep(self, snapshot: bytes, events: int, *, epoch: int, step: int) -> str:
        """Store a checkpoint of the user's, and return its digest."""
        ...

    def load(self, digest: str) -> bytes:
        """Return a checkpoint.

        Raises:
            SwathError: It is not there.
        """
        ...


class Journal:
    """The commands of a run in their order. Other threads add to it; the run takes from it.

    Args:
        commands: Those of the run so far.
        logged: Events that the run's log holds: a command that has not taken effect does so after these, never in a
            part of the run that is known already.
    """

    def __init__(self, commands: Iterable[Command] = (), logged: int = 0) -> None:
        self._changed = threading.Condition()
        self._last = 0
        self._placed: dict[int, Command] = {}
        self._asked: list[Command] = []
        self._logged = logged
        for command in commands:
            self.add(command)

    def add(self, command: Command) -> None:
        """Add a command; one that is there already is passed over."""
        with self._changed:
            if command.number <= self._last:
                return
            self._last = command.number
            if command.place is None:
                self._asked.append(command)
            else:
                self._placed[command.place] = command
            self._changed.notify_all()

    def notify(self) -> None:
        """Have a run that waits look again."""
        with self._changed:
            self._changed.notify_all()

    def take(self, events: int, kind: CommandKind | None = None) -> Command | None:
        """As in `LiveControl`."""
        with self._changed:
            place = min(self._placed, default=None)
            if place is not None:
                due = place <= events and kind in (None, self._placed[place].kind)
                return self._placed.pop(place) if due else None
            if events < self._logged:
                return None
            for index, command in enumerate(self._asked):
                if kind in (None, command.kind):
                    return self._asked.pop(index)
            return None

    def applied(self, events: int) -> list[Command]:
        """As in `LiveControl`."""
        with self._changed:
            places = sorted(place for place in self._placed if place < events)
            return [self._placed.pop(place) for place in places]

    def wait(self) -> None:
        """As in `LiveControl`."""
        with self._changed:
            if not self._asked:
                self._changed.wait(0.5)
