"""Tables of the training service, and rows of them as `Run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
)

from swath.storage.sql.migrations import Schema
from swath_training.runs.model import Run, RunState, StopCause, Trainer

METADATA = MetaData()

RUNS = Table(
    "runs",
    METADATA,
    # Runs queue in the order of this number.
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("session_id", String(36), nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("trainer", Integer, nullable=False),
    Column("arguments_digest", String(71), nullable=False),
    Column("spec_digest", String(71), nullable=False),
    Column("pipeline_digest", String(71), nullable=False),
    Column("weights_digest", String(71)),
    Column("device", Text, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("token_digest", String(64), nullable=False, default=""),
    Column("worker_pid", Integer),
    Column("worker_started", Text, nullable=False, default=""),
    Column("item_seq", Integer, nullable=False, default=0),
    Column("position", Integer, nullable=False, default=0),
    Column("last_seq", Integer, nullable=False, default=0),
    Column("delivered_seq", Integer, nullable=False, default=0),
    Column("end_delivered", Boolean, nullable=False, default=False),
    Column("progressed", Boolean, nullable=False, default=False),
    Column("fruitless", Integer, nullable=False, default=0),
    Column("stop", String(16)),
    Column("code", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("message", Text, nullable=False, default=""),
    Column("details", JSON, nullable=False, default=dict),
    Column("result_pipeline", String(71)),
    Column("result_weights", String(71)),
    Column("final", LargeBinary),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    # The replica that has the run in charge, and until when by the database's clock: after that another may take it.
    Column("holder", Text, nullable=False, server_default=""),
    Column("held_until", Float, nullable=False, server_default="0"),
    # Until when streams at other replicas follow it; those at its holder are counted there.
    Column("followed_until", Float, nullable=False, server_default="0"),
    # Trace and span of the Train call that started it: what belongs to the run belongs to that, at whichever replica.
    Column("traceparent", String(55), nullable=False, server_default=""),
    # Last log line of its workers, and bytes of those that are kept.
    Column("line_number", BigInteger, nullable=False, server_default="0"),
    Column("line_bytes", BigInteger, nullable=False, server_default="0"),
    Index("runs_by_session", "session_id", "number"),
    Index("runs_by_state", "state"),
    sqlite_autoincrement=True,
)

EVENTS = Table(
    "events",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    # Null for what the service itself says, such as a place in the queue.
    Column("position", Integer),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    sqlite_with_rowid=False,
)

LINES = Table(
    "lines",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("created_at", Float, nullable=False),
)

STOPS = Table(
    "stops",
    METADATA,
    # Sessions whose next Train answers CANCELLED, until SetTrainRunConfig.
    Column("session_id", String(36), primary_key=True),
    Column("created_at", Float, nullable=False),
)


_NOT_OF_RUN = frozenset(
    (
        "number",
        "held_until",
        "followed_until",
        "created_at",
        "started_at",
        "finished_at",
        "state",
        "trainer",
        "stop",
    )
)


def run_of(row: RowMapping) -> Run:
    """Return a row of `RUNS` as a `Run`."""
    values: dict[str, Any] = {key: value for key, value in row.items() if key not in _NOT_OF_RUN}
    return Run(
        state=RunState(row["state"]),
        trainer=Trainer(row["trainer"]),
        stop=None if row["stop"] is None else StopCause(row["stop"]),
        **values,
    )


SCHEMA = Schema("training", METADATA, "0004", Path(__file__).parent / "migrations")
