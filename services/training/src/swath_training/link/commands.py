"""Commands, checkpoints and files of swath.training.v1 to plain Python and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from swath.documents import CommandKind, CommandState
from swath.training.v1 import commands_pb2, worker_pb2
from swath_training.runs.items import Checkpoint, File
from swath_training.runs.model import CheckpointKind, RunCommand


def command_message_of(command: RunCommand) -> commands_pb2.RunCommand:
    """Return a command as a message."""
    message = commands_pb2.RunCommand(
        number=command.number,
        id=command.id,
        kind=number_of(commands_pb2.CommandKind, "COMMAND_KIND", command.kind),
        arguments=json.dumps(dict(command.arguments), sort_keys=True),
        by=command.by,
        state=number_of(commands_pb2.CommandState, "COMMAND_STATE", command.state),
        step=command.step or 0,
        # From 1 on the wire of a message without presence: 0 is a command that has not taken effect.
        position=0 if command.position is None else command.position + 1,
        message=command.message,
        progress=_progress_message(command.progress),
    )
    if command.created_at:
        message.created_at.FromMicroseconds(round(command.created_at * 1e6))
        message.changed_at.FromMicroseconds(round(command.changed_at * 1e6))
    return message


def command_of_message(message: commands_pb2.RunCommand) -> RunCommand:
    """Return a message as a command."""
    progress = message.progress
    members: dict[str, Any] = {
        "done": progress.done,
        "total": progress.total,
        "metrics": dict(progress.metrics),
        "cancelled": progress.cancelled,
        "digest": progress.digest,
        "hyperparameters": dict(progress.hyperparameters),
    }
    return RunCommand(
        number=message.number,
        id=message.id,
        kind=CommandKind(_name(commands_pb2.CommandKind, "COMMAND_KIND", message.kind)),
        arguments=json.loads(message.arguments or "{}"),
        by=message.by,
        state=CommandState(_name(commands_pb2.CommandState, "COMMAND_STATE", message.state)),
        step=message.step if message.position else None,
        position=message.position - 1 if message.position else None,
        message=message.message,
        progress={name: value for name, value in members.items() if value},
    )


def checkpoint_message(checkpoint: Checkpoint) -> worker_pb2.Checkpoint:
    """Return a checkpoint as a message."""
    return worker_pb2.Checkpoint(
        digest=checkpoint.digest,
        position=checkpoint.position,
        kind=number_of(worker_pb2.CheckpointKind, "CHECKPOINT_KIND", checkpoint.kind),
        step=checkpoint.step,
        epoch=checkpoint.epoch,
    )


def checkpoint_of(message: worker_pb2.Checkpoint) -> Checkpoint:
    """Return a message as a checkpoint; one of a worker of the release before is for the next attempt."""
    user = message.kind == worker_pb2.CHECKPOINT_KIND_USER
    kind = CheckpointKind.USER if user else CheckpointKind.RESUME
    return Checkpoint(message.digest, message.position, kind, message.step, message.epoch)


def file_of(message: worker_pb2.File) -> File:
    """Return a message as a file."""
    return File(message.kind, message.digest, message.rows, message.first_step, message.last_step, message.position)


def _progress_message(progress: Mapping[str, Any]) -> commands_pb2.CommandProgress | None:
    return commands_pb2.CommandProgress(**progress) if progress else None


def number_of(enum: Any, prefix: str, name: str) -> Any:
    """Return the number of an enumeration's value."""
    return enum.Value(f"{prefix}_{name.upper()}")


def _name(enum: Any, prefix: str, number: int) -> str:
    return enum.Name(number).removeprefix(f"{prefix}_").lower()
