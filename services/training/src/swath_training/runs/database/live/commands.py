"""Commands of runs on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.documents import CommandKind, CommandState
from swath.errors import InvalidInput, Precondition
from swath.storage.sql.engine import GroupWriter, now, run
from swath.storage.sql.notifications import notify
from swath_training.runs.database.rows import run_row
from swath_training.runs.database.tables import COMMANDS, RUNS
from swath_training.runs.hashes import run_hash
from swath_training.runs.model import WORKING, Run, RunCommand, RunState

ASKED = "run.asked"
"""Notifications of this channel hold the id of a run that has a new command."""

_OPEN = (CommandState.ASKED, CommandState.TAKEN)
_MOST = 100_000
_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a run: fields as in `RunCommand`."""

    id: str
    kind: CommandKind
    arguments: Mapping[str, Any]
    by: str


class CommandStore:
    """Keeps commands. What is asked is on disk before it is acknowledged, whichever replica is asked.

    Args:
        engine: The training service's database.
        writer: Its group writer.
        holder: Name of this replica.
    """

    def __init__(self, engine: AsyncEngine, writer: GroupWriter, holder: str) -> None:
        self._engine = engine
        self._writer = writer
        self._holder = holder

    async def ask(self, run_id: str, request: Request) -> RunCommand:
        """Write a command and notify the run's holder; the id of an earlier command gives that one.

        Raises:
            RunNotFound: No such run.
            Precondition: It is over, or about to end.
            InvalidInput: The id belongs to another command.
        """
        asked = await self._writer.write(lambda connection: _ask(connection, run_id, request))
        if isinstance(asked, RunState):
            raise Precondition(
                f"run {run_id} is {asked}: nothing can be asked of it any more", metadata={"run": run_id}
            )
        if (asked.kind, dict(asked.arguments)) != (request.kind, dict(request.arguments)):
            raise InvalidInput(
                f"command id '{request.id}' of run {run_id} belongs to another command ({asked.kind}, number "
                f"{asked.number})",
                metadata={"run": run_id},
            )
        return asked

    async def after(self, run_id: str, number: int) -> list[RunCommand]:
        """Return a run's commands after a number, in order."""
        query = (
            select(COMMANDS)
            .where(COMMANDS.c.run_id == run_id, COMMANDS.c.number > min(max(number, 0), _MAX))
            .order_by(COMMANDS.c.number)
            .limit(_MOST)
        )
        return await run(self._engine, lambda connection: [_of(row) for row in connection.execute(query).mappings()])

    async def evaluation(self, run_id: str, number: int) -> RunCommand | None:
        """Return the evaluation of a number, or the last one for 0; None if there is none."""
        which = (COMMANDS.c.number == min(max(number, 0), _MAX),) if number else ()
        query = (
            select(COMMANDS)
            .where(COMMANDS.c.run_id == run_id, COMMANDS.c.kind == CommandKind.EVALUATE, *which)
            .order_by(COMMANDS.c.number.desc())
            .limit(1)
        )
        row = await run(self._engine, lambda connection: connection.execute(query).mappings().first())
        return None if row is None else _of(row)

    async def waiting(self) -> set[str]:
        """Return the ids of the runs of this replica that have commands which no worker has reported on."""
        query = (
            select(COMMANDS.c.run_id)
            .join(RUNS, RUNS.c.id == COMMANDS.c.run_id)
            .where(RUNS.c.holder == self._holder, RUNS.c.state.in_(WORKING), COMMANDS.c.state == CommandState.ASKED)
            .distinct()
        )
        return await run(self._engine, lambda connection: set(connection.execute(query).scalars()))


def _ask(connection: Connection, run_id: str, request: Request) -> RunCommand | RunState:
    run = run_row(connection, run_id)
    query = select(COMMANDS).where(COMMANDS.c.run_id == run_id)
    row = connection.execute(query.where(COMMANDS.c.id == request.id)).mappings().first()
    if row is not None:
        return _of(row)
    if run.state.over or run.state is RunState.ENDING:
        return run.state
    last = connection.execute(select(func.max(COMMANDS.c.number)).where(COMMANDS.c.run_id == run_id)).scalar() or 0
    values = {
        "run_id": run_id,
        "number": last + 1,
        "id": request.id,
        "kind": request.kind,
        "arguments": dict(request.arguments),
        "by": request.by,
        "state": CommandState.ASKED,
        "message": "",
        "progress": {},
        "created_at": now(),
        "changed_at": now(),
    }
    notify(connection, ASKED, run_id)
    return _of(connection.execute(insert(COMMANDS).values(**values).returning(COMMANDS)).mappings().one())


def report(connection: Connection, run: Run, told: RunCommand, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Write what a worker reports of a command.

    Args:
        connection: The transaction that writes the event.
        run: The run.
        told: The report.
        changes: Columns of the run that earlier reports of the same transaction have changed.

    Returns:
        Columns of the run that the command has changed.
    """
    if told.number:
        first = COMMANDS.c.position.is_(None)
        this = (COMMANDS.c.run_id == run.id) & (COMMANDS.c.number == told.number)
        connection.execute(update(COMMANDS).where(this & first).values(position=told.position, step=told.step))
        connection.execute(
            update(COMMANDS)
            .where(this)
            .values(state=told.state, message=told.message, progress=dict(told.progress), changed_at=now())
        )
    if told.state is not CommandState.DONE:
        return {}
    values: dict[str, float] = {**run.hyperparameters, **changes.get("hyperparameters", {})}
    discarded = changes.get("discarded", run.discarded)
    match told.kind:
        case CommandKind.PAUSE:
            return {"paused": True}
        case CommandKind.RESUME:
            return {"paused": False, "hash": run_hash(run.hash_base, values, discarded)}
        case CommandKind.SET_SAMPLES:
            return {"discarded": told.arguments.get("discarded")}
        case _ if new := told.progress.get("hyperparameters"):
            return {"hyperparameters": {**values, **new}}
        case _:
            return {}


def close_commands(connection: Connection, run_id: str) -> None:
    """Refuse what a run that is over has not let take effect."""
    connection.execute(
        update(COMMANDS)
        .where(COMMANDS.c.run_id == run_id, COMMANDS.c.state.in_(_OPEN))
        .values(state=CommandState.REFUSED, message="the run has ended", changed_at=now())
    )


def _of(row: RowMapping) -> RunCommand:
    values: dict[str, Any] = {name: row[name] for name in row if name != "run_id"}
    values |= {"kind": CommandKind(row["kind"]), "state": CommandState(row["state"])}
    return RunCommand(**values)
