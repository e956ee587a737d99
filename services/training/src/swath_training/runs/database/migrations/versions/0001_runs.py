"""Runs, their events and checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_DIGEST = sa.String(71)


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("trainer", sa.Integer, nullable=False),
        sa.Column("arguments_digest", _DIGEST, nullable=False),
        sa.Column("spec_digest", _DIGEST, nullable=False),
        sa.Column("pipeline_digest", _DIGEST, nullable=False),
        sa.Column("weights_digest", _DIGEST),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("worker_pid", sa.Integer),
        sa.Column("worker_started", sa.Text, nullable=False),
        sa.Column("item_seq", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("delivered_seq", sa.Integer, nullable=False),
        sa.Column("end_delivered", sa.Boolean, nullable=False),
        sa.Column("progressed", sa.Boolean, nullable=False),
        sa.Column("fruitless", sa.Integer, nullable=False),
        sa.Column("stop", sa.String(16)),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("result_pipeline", _DIGEST),
        sa.Column("result_weights", _DIGEST),
        sa.Column("final", sa.LargeBinary),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_session", "runs", ["session_id", "number"])
    op.create_index("runs_by_state", "runs", ["state"])
    op.create_table(
        "events",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "stops",
        sa.Column("session_id", sa.String(36), primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
    )
