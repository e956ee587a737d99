"""Commands to a run, and what events tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swath.documents import CommandKind, CommandState


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        number: Counts from 1 in the run: the order in which commands take effect.
        kind: What is asked.
        arguments: Members by kind: CHANGE has hyper-parameters by name; RESUME "steps", after which the run pauses
            again; EVALUATE "split" and "max_batches"; RESTORE "digest" and "weights_only".
        by: Identity of who asked.
        place: Events that the run had emitted before it took effect; None while it has not.
    """

    number: int
    kind: CommandKind
    arguments: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""
    place: int | None = None


@dataclass(frozen=True, slots=True)
class CommandReport:
    """What has become of a command, as an event tells it.

    Attributes:
        command: The command. A pause that a resume had asked for has the number 0.
        state: TAKEN where it goes on, DONE or REFUSED.
        done, total: Batches of an evaluation.
        metrics: What an evaluation has measured.
        cancelled: Whether an evaluation was given up.
        digest: The checkpoint that was saved.
        values: Hyper-parameters as they are now, where the command has changed any.
    """

    command: Command
    state: CommandState
    done: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    cancelled: bool = False
    digest: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
