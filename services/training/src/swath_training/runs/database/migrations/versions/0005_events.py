"""Events in the service's own form, and what they have measured."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "run_metrics",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sqlite_with_rowid=False,
    )
    # Null, or with a default of the database's own: a release that knows nothing of these columns goes on adding rows.
    op.add_column("events", sa.Column("event", sa.LargeBinary))
    op.add_column("runs", sa.Column("final_event", sa.LargeBinary))
    op.add_column("runs", sa.Column("metric_rows", sa.BigInteger, nullable=False, server_default="0"))
