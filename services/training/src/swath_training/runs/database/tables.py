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
    UniqueConstraint,
    false,
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
    # Its name in the database is the one that the first release gave it.
    Column("fruitless", Integer, key="attempts_without_progress", nullable=False, default=0),
    Column("stop", String(16)),
    Column("code", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("message", Text, nullable=False, default=""),
    Column("details", JSON, nullable=False, default=dict),
    Column("result_pipeline", String(71)),
    Column("result_weights", String(71)),
    # The form that the release before reads.
    Column("final", LargeBinary, key="final_response"),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    # The replica that holds the run's lease, and until when by the database's clock: after that another may take it.
    Column("holder", Text, nullable=False, server_default=""),
    Column("held_until", Float, nullable=False, server_default="0"),
    # Until when streams at other replicas follow it; those at its holder are counted there.
    Column("followed_until", Float, nullable=False, server_default="0"),
    # Trace and span of the Train call that started it, at whichever replica.
    Column("traceparent", String(55), nullable=False, server_default=""),
    # Last log line of its workers, and bytes of those that are kept.
    Column("line_number", BigInteger, nullable=False, server_default="0"),
    Column("line_bytes", BigInteger, nullable=False, server_default="0"),
    # Its last event, from its end on disk until that is in the log.
    Column("final_event", LargeBinary, key="final"),
    # How many metrics are kept of it.
    Column("metric_rows", BigInteger, nullable=False, server_default="0"),
    # Empty in rows that the release before wrote: their session's id.
    Column("experiment", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default=""),
    Column("paused", Boolean, nullable=False, server_default=false()),
    # Present values by name of what can be changed.
    Column("hyperparameters", JSON, nullable=False, server_default="{}"),
    # As of its start or last resume, and what it is made of beside hyper-parameters and samples.
    Column("hash", String(24), nullable=False, server_default=""),
    Column("hash_base", String(24), nullable=False, server_default=""),
    # Artifact with the samples that the train split leaves out.
    Column("discarded", String(71)),
    # Of the last event that has them.
    Column("step", BigInteger, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    # Up to which event its curves are summed up.
    Column("curves_seq", Integer, nullable=False, server_default="0"),
    Index("runs_by_session", "session_id", "number"),
    Index("runs_by_state", "state"),
    Index("runs_by_experiment", "experiment", "number"),
    sqlite_autoincrement=True,
)

EVENTS = Table(
    "events",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    # Null for what the service itself reports, such as a position in the queue.
    Column("position", Integer),
    # A serialized TrainResponse. The release before reads nothing else, and serves the same rows during a roll-out and
    # after a rollback; the release after this one no longer writes it.
    Column("payload", LargeBinary, key="response", nullable=False),
    Column("created_at", Float, nullable=False),
    # A serialized RunEvent; null where the release before wrote the row.
    Column("event", LargeBinary),
    sqlite_with_rowid=False,
)

METRICS = Table(
    "run_metrics",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    # The event that the value came with, and the value's number among that event's: an event that is reported again
    # has no number of its own, so nothing is written twice.
    Column("seq", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("split", String(16), nullable=False),
    Column("name", Text, nullable=False),
    # Null for what is not a number, for which SQLite has no form. Infinities are themselves.
    Column("value", Float),
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
    Column("step", BigInteger, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("hash", String(24), nullable=False, server_default=""),
)

SAVED_CHECKPOINTS = Table(
    "saved_checkpoints",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("hash", String(24), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("created_at", Float, nullable=False),
    sqlite_with_rowid=False,
)

COMMANDS = Table(
    "run_commands",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("by", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # Null until it has taken effect: optimizer steps and events of the run before that.
    Column("step", BigInteger),
    Column("position", Integer),
    Column("message", Text, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    UniqueConstraint("run_id", "id", name="run_commands_by_id"),
    sqlite_with_rowid=False,
)

FILES = Table(
    "run_files",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    # Counts the files of a kind that an undisturbed run writes.
    Column("position", Integer, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("run_id", "kind", "position", name="run_files_by_position"),
    sqlite_with_rowid=False,
)

CURVES = Table(
    "run_curves",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("curve", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("split", String(16), nullable=False),
    sqlite_with_rowid=False,
)

CURVE_PARTS = Table(
    "curve_parts",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("curve", Integer, primary_key=True),
    # So many neighbouring points of a curve in one row, in order; only the last row of a level still grows.
    Column("level", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_seq", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    # Null where no point is a number.
    Column("low", Float),
    Column("low_step", BigInteger, nullable=False),
    Column("high", Float),
    Column("high_step", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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
        "state",
        "trainer",
        "stop",
        "curves_seq",
    )
)
# Attributes of a `Run`, and the columns' names in a row.
_FIELDS = tuple((column.key, column.name) for column in RUNS.columns if column.key not in _NOT_OF_RUN)


def run_of(row: RowMapping) -> Run:
    """Return a row of `RUNS` as a `Run`."""
    values: dict[str, Any] = {attribute: row[name] for attribute, name in _FIELDS}
    values["experiment"] = values["experiment"] or values["session_id"]
    return Run(
        state=RunState(row["state"]),
        trainer=Trainer(row["trainer"]),
        stop=None if row["stop"] is None else StopCause(row["stop"]),
        **values,
    )


SCHEMA = Schema("training", METADATA, "0006", Path(__file__).parent / "migrations")
