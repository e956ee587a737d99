"""Commands of runs, files, checkpoints of users, and the summaries that curves are read from."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_DIGEST = sa.String(71)


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    # Null, or with a default of the database's own: a release that knows nothing of these columns goes on adding rows.
    for column in (
        sa.Column("experiment", sa.Text, nullable=False, server_default=""),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("hyperparameters", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("hash", sa.String(24), nullable=False, server_default=""),
        sa.Column("hash_base", sa.String(24), nullable=False, server_default=""),
        sa.Column("discarded", _DIGEST),
        sa.Column("step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("curves_seq", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("runs", column)
    op.create_index("runs_by_experiment", "runs", ["experiment", "number"])
    op.add_column("checkpoints", sa.Column("step", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("checkpoints", sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
    op.add_column("checkpoints", sa.Column("hash", sa.String(24), nullable=False, server_default=""))
    # A table of their own: a release before this one removes what it finds in the other.
    op.create_table(
        "saved_checkpoints",
        _run_id(),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(24), nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_commands",
        _run_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.BigInteger),
        sa.Column("position", sa.Integer),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
        sa.UniqueConstraint("run_id", "id", name="run_commands_by_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_files",
        _run_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("run_id", "kind", "position", name="run_files_by_position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_curves",
        _run_id(),
        sa.Column("curve", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "curve_parts",
        _run_id(),
        sa.Column("curve", sa.Integer, primary_key=True),
        sa.Column("level", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_seq", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("low", sa.Float),
        sa.Column("low_step", sa.BigInteger, nullable=False),
        sa.Column("high", sa.Float),
        sa.Column("high_step", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
